"""The gateway's tables. The newest Alembic revision makes exactly these; a test compares the two.

No personal data is stored: of an account only its masked number and a keyed hash, of a holder only the tags that
attestations are compared with. Binding keys are encrypted (`ledger.service.vault`).
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    func,
    literal_column,
)

from standing.gateway.storage import metadata as _registry
from standing.gateway.storage import warning_tables
from standing.ledger.service.console.tables import session_tables

metadata = _registry.metadata

#: The tables of early warning.
bank_hours = warning_tables.bank_hours
bank_paces = warning_tables.bank_paces
binding_risks = warning_tables.binding_risks
risk_model = warning_tables.risk_model
risk_opt_outs = warning_tables.risk_opt_outs
risk_samples = warning_tables.risk_samples

#: One account of one user. `floor` is the highest publication whose record opened with the binding's key; a binding
#: ends once, and the bank is notified afterwards.
bindings = Table(
    "bindings",
    metadata,
    Column("binding", LargeBinary, primary_key=True),
    Column("bank", String(11), nullable=False),
    Column("user_id", String(64), nullable=False, index=True),
    Column("number_masked", String(34), nullable=False),
    Column("number_type", String(8), nullable=False),
    Column("account", LargeBinary, nullable=False, index=True),  # keyed hash of bank and number
    Column("key_sealed", LargeBinary, nullable=False),
    Column("tags", LargeBinary, nullable=False),  # 12 bytes, as in the terms
    Column("granted_at_ms", BigInteger, nullable=False),
    Column("grant_signature", LargeBinary, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False, index=True),
    Column("ended_at_ms", BigInteger),
    Column("bank_notified_at_ms", BigInteger),
    Column("floor", BigInteger, nullable=False),
    # Identity fields that the bank does not vouch for, comma-separated: their tags come from its first record.
    Column("unvouched", String(64)),
    Column("replaces", LargeBinary),  # the binding that this one replaced
)
#: The last four digits of an account, by which support finds it. Queries must use this text, or no index is used.
LAST_FOUR: ColumnElement[str] = literal_column("substr(number_masked, length(number_masked) - 3)", String)
Index("ix_bindings_last_four", LAST_FOUR, _table=bindings)


def _folded(name: str, column: Column[str]) -> None:
    """An index by which an id is found without its capitals and without its end; `console.lookups` has the query."""
    Index(name, func.lower(column).label("folded"), postgresql_ops={"folded": "text_pattern_ops"})


_folded("ix_bindings_folded_user", bindings.c.user_id)

#: Every decision, with the answer as it was given.
decisions = Table(
    "decisions",
    metadata,
    Column("transaction_id", String(64), primary_key=True),
    Column("binding", ForeignKey("bindings.binding"), nullable=False),
    Column("kind", String(10), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("outcome", String(8), nullable=False),
    Column("reason", String(32)),
    Column("decided_at_ms", BigInteger, nullable=False),
    Column("answer", Text, nullable=False),  # JSON
    Column("review", String(6)),  # open or closed; null: the decision was never sent to review
)
Index("ix_decisions_binding_decided", decisions.c.binding, decisions.c.decided_at_ms)
Index("ix_decisions_decided", decisions.c.decided_at_ms, decisions.c.transaction_id)
# Small compared with the table: most decisions approve, and few reviews are open.
_REASONED = decisions.c.reason.is_not(None)
Index(
    "ix_decisions_reason",
    decisions.c.reason,
    decisions.c.decided_at_ms,
    decisions.c.transaction_id,
    sqlite_where=_REASONED,
    postgresql_where=_REASONED,
)
#: As a literal: a partial index serves only a query that repeats its condition verbatim.
REVIEW_IS_OPEN = decisions.c.review == literal_column("'open'")
Index(
    "ix_decisions_open_review",
    decisions.c.decided_at_ms,
    decisions.c.transaction_id,
    sqlite_where=REVIEW_IS_OPEN,
    postgresql_where=REVIEW_IS_OPEN,
)

#: How reviews ended. For one that was approved, the read of the ledger that it is based on.
reviews = Table(
    "reviews",
    metadata,
    Column("transaction_id", ForeignKey("decisions.transaction_id"), primary_key=True),
    Column("outcome", String(8), nullable=False),
    Column("closed_at_ms", BigInteger, nullable=False, index=True),
    Column("closed_by", String(64), nullable=False),  # name of the key; the reason is in the audit
    Column("block_number", BigInteger),
    Column("publication", BigInteger),
    Column("staleness_ms", BigInteger),
)

#: The parts of a day's limit that approved transactions hold: reserved, then captured, voided or expired. A reserved
#: one counts as expired after its expiry, even before its row says so; a withdrawal has no expiry.
reservations = Table(
    "reservations",
    metadata,
    Column("transaction_id", ForeignKey("decisions.transaction_id"), primary_key=True),
    Column("account", LargeBinary, nullable=False),
    Column("day", Date, nullable=False),  # in the bank's time zone
    Column("currency", String(3), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("state", String(8), nullable=False),
    Column("settled_at_ms", BigInteger),
    Column("expires_at_ms", BigInteger),
    Column("captured_minor", BigInteger),
    Column("refunded_minor", BigInteger, nullable=False, server_default="0"),
)
Index("ix_reservations_due", reservations.c.account, reservations.c.state, reservations.c.expires_at_ms)

#: Refunds of captured payments.
refunds = Table(
    "refunds",
    metadata,
    Column("transaction_id", ForeignKey("reservations.transaction_id"), primary_key=True),
    Column("refund_id", String(64), primary_key=True),
    Column("amount_minor", BigInteger, nullable=False),
    Column("refunded_at_ms", BigInteger, nullable=False),
)

#: The sum of what is reserved or captured, less refunds: one row for an account's day and kind of transaction.
usage = Table(
    "usage",
    metadata,
    Column("account", LargeBinary, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("currency", String(3), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("used_minor", BigInteger, nullable=False),
)

#: How far the ledger is followed: one row. All bindings made before `adopted_to_ms` have a row in `binding_states`.
#: `pruned_to`: the newest position that was pruned from `events`.
follower = Table(
    "follower",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("block_number", BigInteger, nullable=False),
    Column("block_hash", LargeBinary, nullable=False),
    Column("adopted_to_ms", BigInteger, nullable=False),
    Column("ledger", String(128)),
    Column("pruned_to", BigInteger),
)

#: Hashes of the newest followed blocks, by which a reorg is noticed.
followed_blocks = Table(
    "followed_blocks",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
)

#: The newest attestation that was reported, sealed as on the ledger. For events only: no decision ever reads it.
#: `recheck`: its block is no longer part of the chain, or blocks were not followed.
binding_states = Table(
    "binding_states",
    metadata,
    Column("binding", ForeignKey("bindings.binding"), primary_key=True),
    Column("publication", BigInteger, nullable=False),  # 0: the ledger held no record
    Column("tag_and_head", LargeBinary, nullable=False),
    Column("tail", LargeBinary, nullable=False),
    Column("block_number", BigInteger, nullable=False),
    Column("recheck", Boolean, nullable=False, index=True),
    Column("usable_since_ms", BigInteger),  # when this gateway first saw a readable attestation
)

#: The state of a bank that was last reported. For events only.
bank_states = Table(
    "bank_states",
    metadata,
    Column("bank", String(11), primary_key=True),
    Column("watermark_ms", BigInteger, nullable=False),
    Column("block_number", BigInteger, nullable=False),
    Column("silent", Boolean, nullable=False),
    Column("suspended", Boolean, nullable=False),
)

#: When this gateway saw a publication of a binding, and in which block.
observations = Table(
    "observations",
    metadata,
    Column("binding", ForeignKey("bindings.binding"), primary_key=True),
    Column("publication", BigInteger, primary_key=True, autoincrement=False),
    Column("effective_at_ms", BigInteger, nullable=False),
    Column("block_number", BigInteger, nullable=False),
    Column("block_time_ms", BigInteger, nullable=False),
    Column("observed_at_ms", BigInteger, nullable=False, index=True),
    Column("restated", Boolean, nullable=False),  # the bank stated the same as before
)

#: A bank's worst staleness in each minute, for charts only.
bank_ages = Table(
    "bank_ages",
    metadata,
    Column("minute_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("bank", String(11), primary_key=True),
    Column("worst_age_ms", BigInteger, nullable=False),
)

#: The event log. Positions follow the order of commits and are never used again.
events = Table(
    "events",
    metadata,
    Column("position", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("type", String(32), nullable=False),
    Column("bank", String(11), nullable=False),
    Column("binding", LargeBinary),
    Column("publication", BigInteger),
    Column("block_number", BigInteger, nullable=False),  # 0: not about a block
    Column("happened_at_ms", BigInteger, nullable=False),
    Column("observed_at_ms", BigInteger, nullable=False, index=True),
    Column("data", Text, nullable=False),  # JSON, without personal data
    sqlite_autoincrement=True,
)
Index("ix_events_binding", events.c.binding, events.c.publication)

#: Where events are sent. A URL may hold a token, so it is sealed like the secrets. `queued_to`: the position up to
#: which events have their rows in `webhook_deliveries`.
webhook_endpoints = Table(
    "webhook_endpoints",
    metadata,
    Column("id", String(24), primary_key=True),
    Column("url_sealed", LargeBinary, nullable=False),
    Column("secret_sealed", LargeBinary, nullable=False),
    Column("old_secret_sealed", LargeBinary),
    Column("old_secret_until_ms", BigInteger),
    Column("types", Text),  # JSON; null: all
    Column("created_at_ms", BigInteger, nullable=False),
    Column("disabled_at_ms", BigInteger),
    Column("disabled_reason", String(64)),
    Column("queued_to", BigInteger, nullable=False),
)

#: One event on its way to one endpoint: pending, then delivered or given up.
webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("endpoint", ForeignKey("webhook_endpoints.id", ondelete="CASCADE"), primary_key=True),
    Column("position", BigInteger, ForeignKey("events.position", ondelete="CASCADE"), primary_key=True),
    Column("state", String(9), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("queued_at_ms", BigInteger, nullable=False),
    Column("next_attempt_at_ms", BigInteger, nullable=False),
    Column("last_attempt_at_ms", BigInteger),
    Column("delivered_at_ms", BigInteger),
    Column("last_result", String(64)),
)
Index(
    "ix_webhook_deliveries_due",
    webhook_deliveries.c.endpoint,
    webhook_deliveries.c.state,
    webhook_deliveries.c.next_attempt_at_ms,
    webhook_deliveries.c.position,
)
Index("ix_webhook_deliveries_position", webhook_deliveries.c.position)

#: Why something is held, and until when; `binding` is null where the user's attempts to bind are held.
holds = Table(
    "holds",
    metadata,
    Column("hold_id", String(32), primary_key=True),
    Column("binding", ForeignKey("bindings.binding"), index=True),
    Column("user_id", String(64), nullable=False, index=True),
    Column("rule", String(32), nullable=False),
    Column("why", String(200), nullable=False),
    Column("why_zh", String(200), nullable=False),
    Column("whole", Boolean, nullable=False),
    Column("began_at_ms", BigInteger, nullable=False),
    Column("ends_at_ms", BigInteger, nullable=False),
    Column("lifted_at_ms", BigInteger),
    Column("lifted_by", String(64)),
)

#: When banks refused to bind for a user, to limit guessing. Rows older than the policy's window are deleted.
binding_refusals = Table(
    "binding_refusals",
    metadata,
    Column("position", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("user_id", String(64), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)
Index("ix_binding_refusals_user", binding_refusals.c.user_id, binding_refusals.c.at_ms)

#: Attempts to bind that failed, for support. Bounded for each user and in time.
binding_failures = Table(
    "binding_failures",
    metadata,
    Column("position", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("user_id", String(64), nullable=False),
    Column("at_ms", BigInteger, nullable=False, index=True),
    Column("bank", String(11), nullable=False),
    Column("number_masked", String(34), nullable=False),
    Column("why", String(120), nullable=False),  # the fields that differ, or other words, comma-separated
)
Index("ix_binding_failures_user", binding_failures.c.user_id, binding_failures.c.at_ms)
_folded("ix_binding_failures_folded_user", binding_failures.c.user_id)

#: Bindings that wait for the amount of a micro-deposit. The identity is encrypted, and deleted once there is a
#: `binding`.
pending_bindings = Table(
    "pending_bindings",
    metadata,
    Column("bank", String(11), primary_key=True),
    Column("request_id", String(64), primary_key=True),
    Column("user_id", String(64), nullable=False, index=True),
    Column("deposit", LargeBinary, nullable=False),  # the bank's id of the deposit
    Column("number_masked", String(34), nullable=False),
    Column("number_type", String(8), nullable=False),
    Column("account", LargeBinary, nullable=False),
    Column("identity_sealed", LargeBinary),
    Column("replaces", LargeBinary),
    Column("currency", String(3), nullable=False),
    Column("binding", LargeBinary),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False, index=True),
)

#: Who did what, and why. A row is written before the act; `outcome` is null where the result is unknown.
audit = Table(
    "audit",
    metadata,
    Column("position", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("at_ms", BigInteger, nullable=False, index=True),
    Column("caller", String(64), nullable=False),
    Column("role", String(16), nullable=False),
    Column("action", String(32), nullable=False),
    Column("subject", String(140), nullable=False, index=True),
    Column("reason_sealed", LargeBinary, nullable=False),  # free text, which may name people
    Column("outcome", String(64)),
    Column("finished_at_ms", BigInteger),
    sqlite_autoincrement=True,
)

#: The vault's own keys, encrypted under its newest secret: a secret can be retired while the values keyed by it stay.
vault_keys = Table(
    "vault_keys",
    metadata,
    Column("purpose", String(32), primary_key=True),
    Column("key_sealed", LargeBinary, nullable=False),
)

#: The newest runs of the reconciliation, each with its report as JSON.
reconcile_runs = Table(
    "reconcile_runs",
    metadata,
    Column("run", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("started_at_ms", BigInteger, nullable=False),
    Column("ended_at_ms", BigInteger, nullable=False),
    Column("block_number", BigInteger, nullable=False),
    Column("checked", BigInteger, nullable=False),
    Column("dead", BigInteger, nullable=False),
    Column("drift", BigInteger, nullable=False),
    Column("report", Text, nullable=False),
)

#: Active bindings that the last reconciliation found no longer usable. For lists and reports: no decision reads it.
dead_bindings = Table(
    "dead_bindings",
    metadata,
    Column("binding", ForeignKey("bindings.binding"), primary_key=True),
    Column("reason", String(32), nullable=False),
    Column("since_ms", BigInteger, nullable=False),
    Column("block_number", BigInteger, nullable=False),
)

#: Who is signed in at the console, and failed tries to.
console = session_tables(metadata)

#: Sign-ins whose answer from the identity provider has arrived, by the SHA-256 of their state: each counts once.
console_states = Table(
    "console_states",
    metadata,
    Column("state_sha256", String(64), primary_key=True),
    Column("at_ms", BigInteger, nullable=False, index=True),
)
