"""The ways in which the bank's core reports changes: HTTP push, a polled SQL view, a drop folder of files.

`service.Feed` takes every entry, whatever its source.
"""
