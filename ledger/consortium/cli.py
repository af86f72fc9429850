"""`standing-network`: the files of a consortium's own ledger network. Each command's imports happen when it runs."""

from standing.ledger.service.lazy_commands import LazyCommand, lazy_app

_COMMANDS = "standing.ledger.consortium.commands"

app = lazy_app(
    "standing-network",
    "The files of a consortium's ledger network: Hyperledger Besu with QBFT.",
    {
        "example": LazyCommand(f"{_COMMANDS}:example", "Print a plan with comments."),
        "key": LazyCommand(f"{_COMMANDS}:key", "Make the key of a member's node."),
        "make": LazyCommand(f"{_COMMANDS}:make", "Write the files of the network."),
    },
)
