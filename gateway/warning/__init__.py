"""Early warning: score cards of banks, banks about to stop reporting, and bindings at risk.

Warnings are for people: no decision uses anything in this package, and no warning ever leads to an approval.
`scorecard.ScoreCards` and `scoring.Scoring` are what others use most.
"""
