"""Evidence of decisions, for third parties to check later: claims, signing, and offline verification."""
