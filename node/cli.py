"""`standing-node`: the commands of a bank's node. What each one needs is imported when it runs."""

from standing.ledger.service.lazy_commands import LazyCommand, lazy_app

_OPERATIONS = "standing.node.operations"

app = lazy_app(
    "standing-node",
    "A bank's node: accepts changes from the core, grants bindings, publishes signed attestations to the ledger.\n\n"
    "To begin: `init DIR --bic BIC`, then `doctor -c DIR/node.toml`, then `serve -c DIR/node.toml`.",
    {
        "init": LazyCommand(f"{_OPERATIONS}.init_command:init", "Make a new node's secrets, keys and settings."),
        "serve": LazyCommand("standing.node.serve:serve", "Run the node until it is stopped."),
        "status": LazyCommand(
            f"{_OPERATIONS}.commands:status", "Show the state of the node, its store and the ledger."
        ),
        "doctor": LazyCommand(f"{_OPERATIONS}.doctor:doctor", "Report what is missing or wrong."),
        "feed": LazyCommand(f"{_OPERATIONS}.feed_commands:app", "Check and send feed files."),
        "account": LazyCommand(f"{_OPERATIONS}.account_commands:app", "Erase an account."),
        "platform": LazyCommand(
            f"{_OPERATIONS}.platform_commands:app", "Add, off-board and readmit payment platforms."
        ),
        "ledger": LazyCommand(f"{_OPERATIONS}.governance_commands:app", "Govern banks on the ledger."),
        "recover": LazyCommand(f"{_OPERATIONS}.commands:recover", "Bring the store back in sync with the ledger."),
        "export": LazyCommand(
            f"{_OPERATIONS}.commands:export", "Export what neither the core nor the ledger can restore."
        ),
        "import": LazyCommand(f"{_OPERATIONS}.commands:import_", "Load an export into an empty store."),
        "move-database": LazyCommand(
            f"{_OPERATIONS}.move_command:move_database", "Move everything from an SQLite file to another database."
        ),
        "reload": LazyCommand(f"{_OPERATIONS}.reload_command:reload", "Reload the API keys."),
        "config": LazyCommand(f"{_OPERATIONS}.setup_commands:config", "Settings."),
        "secret": LazyCommand(f"{_OPERATIONS}.setup_commands:secret", "Generate random secrets in files."),
        "api-key": LazyCommand(f"{_OPERATIONS}.setup_commands:api_key", "API keys of callers."),
        "keystore": LazyCommand(f"{_OPERATIONS}.setup_commands:keystore", "Encrypted keystores of the node's keys."),
        "hsm": LazyCommand(f"{_OPERATIONS}.commands:hsm", "A signing key in a PKCS#11 token."),
    },
)
