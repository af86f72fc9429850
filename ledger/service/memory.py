"""Garbage collection, set for services and for commands that read large files."""

import gc

#: How many new objects trigger a collection of the youngest generation; Python's default is 700.
_YOUNG_OBJECTS = 20_000


def settle_memory() -> None:
    """Restrict garbage collection to objects made from now on, and run it less often than by default.

    Objects made at start-up live until the end. By default the collector walks all of them now and then, and every
    request waits meanwhile, for a tenth of a second or two. It also runs for every few hundred new objects; a page
    of a core's file or a batch of decisions makes many times that, nearly all freed without it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 10, 10)
