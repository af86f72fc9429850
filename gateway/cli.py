"""`standing-gateway`: the commands of a platform's gateway. Each one's imports happen when it runs."""

from standing.ledger.service.lazy_commands import LazyCommand, lazy_app

_OPERATIONS = "standing.gateway.operations"
_AUDITING = "standing.gateway.auditing.commands"
_VERIFICATION = "standing.gateway.evidence.verification.commands"

app = lazy_app(
    "standing-gateway",
    "A payment platform's gateway: binds bank accounts, and decides on payments by the bank's newest attestation.\n\n"
    "To begin: `init DIR --platform ID`, `bank add` for each bank, `doctor -c DIR/gateway.toml`, then "
    "`serve -c DIR/gateway.toml`.",
    {
        "init": LazyCommand(f"{_OPERATIONS}.init_command:init", "Make a new gateway's secrets, keys and settings."),
        "serve": LazyCommand("standing.gateway.serve:serve", "Run the gateway until it is stopped."),
        "status": LazyCommand(f"{_OPERATIONS}.commands:status_command", "Show the state of a running gateway."),
        "doctor": LazyCommand(f"{_OPERATIONS}.doctor:doctor", "Report what is missing or wrong."),
        "bank": LazyCommand(f"{_OPERATIONS}.bank_commands:app", "Banks whose accounts can be bound."),
        "reconcile": LazyCommand(
            f"{_OPERATIONS}.commands:reconcile_command", "Compare all bindings with the ledger at one block."
        ),
        "policy": LazyCommand(f"{_OPERATIONS}.setup_commands:policy", "The policy: freshness bounds and risk rules."),
        "evidence": LazyCommand("standing.gateway.evidence.commands:evidence", "Export a decision's evidence."),
        "verify": LazyCommand(f"{_VERIFICATION}:verify_command", "Check a decision's evidence, line by line."),
        "prove": LazyCommand(f"{_VERIFICATION}:prove_command", "Add a storage proof to a decision's evidence."),
        "audit-ledger": LazyCommand(f"{_AUDITING}:audit_ledger_command", "Recompute a ledger's whole history."),
        "scorecard": LazyCommand(
            f"{_OPERATIONS}.scorecard_command:scorecard_command", "Show how banks have performed."
        ),
        "scoring": LazyCommand(
            f"{_OPERATIONS}.scoring_commands:app", "The scoring of bindings: its state, and a run on request."
        ),
        "export": LazyCommand(
            f"{_AUDITING}:export_command", "Write all decisions with their evidence, for an auditor."
        ),
        "rekey": LazyCommand(f"{_OPERATIONS}.commands:rekey_command", "Encrypt data at rest under the newest secret."),
        "move-database": LazyCommand(
            f"{_OPERATIONS}.move_command:move_database", "Move everything from an SQLite file to another database."
        ),
        "reload": LazyCommand(f"{_OPERATIONS}.reload_command:reload", "Reload keys, banks and policy."),
        "config": LazyCommand(f"{_OPERATIONS}.setup_commands:config", "Settings."),
        "secret": LazyCommand(f"{_OPERATIONS}.setup_commands:secret", "Generate random secrets in files."),
        "api-key": LazyCommand(f"{_OPERATIONS}.setup_commands:api_key", "API keys of callers."),
        "evidence-key": LazyCommand(f"{_OPERATIONS}.setup_commands:evidence_key", "The key that signs evidence."),
    },
    extra="gateway",
)
