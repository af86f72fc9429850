"""The settings that a running node applies when it reads them again: the API keys of core, platforms and operators."""

from collections.abc import Callable

from standing.ledger.service.api_keys import Keyring
from standing.ledger.service.reloading import Reloader, ReloadResult
from standing.node.composition import Node
from standing.node.settings import NodeSettings

LIVE = frozenset({"api_keys"})


def make_reloader(node: Node, keyring: Keyring, read: Callable[[], NodeSettings]) -> Reloader[NodeSettings]:
    """The reloader of a node. `read` loads its settings."""
    known = {key.sha256: key for key in node.settings.api_keys}

    def take(new: NodeSettings) -> ReloadResult:
        nonlocal known
        wanted = {key.sha256: key for key in new.api_keys}
        if wanted == known:
            return ReloadResult((), ())
        keyring.replace(new.api_keys)
        node.sessions.accept(new.api_keys)
        known = wanted
        return ReloadResult(("api_keys",), ())

    return Reloader(node.settings, read, take, LIVE, node.clock)
