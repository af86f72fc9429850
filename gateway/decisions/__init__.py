"""Decisions on payments: routes, service, rules, policy, risk rules, usage and reservations.

`service.DecisionService` decides with all I/O, and `rules.decide` is the pure decision. Ordinary requests take
`hot_path`, which answers without the framework. Others also use `policy`, `question`, `holds` and `reservations`.
"""
