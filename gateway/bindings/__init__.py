"""Bindings at this platform: the banks and their nodes, the binding flow, stored bindings, changes of identity.

`service.Bindings` looks bindings up; `flow.BindingFlow` makes them.
"""
