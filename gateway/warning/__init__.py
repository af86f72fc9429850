"""Early warning: how banks have done (score cards), which bank is about to fall silent, and which binding is at risk.

Nothing here is part of a decision: a warning tells people, and no warning ever leads to an approval.
"""
