"""The hot path, top to bottom: routes, service, rules, policy, risk, usage, reservations.

`service.DecisionService` decides; `rules.decide` is the pure decision.
"""
