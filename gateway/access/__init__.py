"""Access to the API: roles and keys, sign-in, the audit of support and administration, and admission control.

Routes take their caller from `dependencies` (`Staff`, `AnyRole`, …). `audit.AuditedRoute` records what a route did,
`audit.Audit` is the record, and `admission.Admission` bounds the work in progress.
"""
