"""Bindings at this platform: banks and their nodes, the binding flow, stored bindings, and changes of identity.

`service.Bindings` looks bindings up and ends them, `flow.BindingFlow` makes them, and `banks.BankDirectory`
lists the banks.
"""
