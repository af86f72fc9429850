"""The bank's node, which runs beside a core banking system: feed, bindings, publishing."""
