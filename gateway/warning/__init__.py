"""Early warning: banks' score cards, banks about to fall silent, and bindings at risk.

Warnings are for people. Nothing here is part of a decision, and no warning ever leads to an approval.
"""
