"""The bank node: feed in from the core, bindings, outbox, publisher. Runs beside a core banking system."""
