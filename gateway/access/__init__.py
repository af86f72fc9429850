"""Access to the API: roles, the audit of support and administration, and admission control.

Routes use `dependencies`; `audit.Audit` keeps the record.
"""
