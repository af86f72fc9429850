"""The ways in which the bank's core reports changes: HTTP push, a polled SQL view, and a drop folder of files.

`service.Feed` accepts every entry, whatever its source; `sources.source_tasks` runs the sources that the node polls.
"""
