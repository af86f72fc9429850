"""Playwright comes with `make test-browser` alone. Without it there is nothing here to collect."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("playwright") is not None else ["test_console.py"]
