"""How the bank's core tells the node what changed: HTTP push, a polled SQL view, a drop folder of files.

`service.Feed` takes every entry, whatever its source.
"""
