"""What lets a third party check a decision later: claims, signing, and offline verification."""
