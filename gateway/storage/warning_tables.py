"""The tables of early warning. No decision reads them."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
)

from standing.gateway.storage.metadata import metadata

#: A bank's staleness in an hour of the ledger's time: figures as JSON (`gateway.warning.hours`).
bank_hours = Table(
    "bank_hours",
    metadata,
    Column("bank", String(11), primary_key=True),
    Column("hour_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("figures", Text, nullable=False),
)

#: How far a bank's hours are counted, and since when it is reported as slowing (`gateway.warning.watch`).
bank_paces = Table(
    "bank_paces",
    metadata,
    Column("bank", String(11), primary_key=True),
    Column("block_number", BigInteger, nullable=False),
    Column("to_ms", BigInteger, nullable=False),
    Column("watermark_ms", BigInteger),
    Column("suspended", Boolean, nullable=False),
    Column("slowing_since_ms", BigInteger),
)

#: The model of the probability that a use within seven days fails: one row, JSON (`gateway.warning.risk_model`).
risk_model = Table(
    "risk_model",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("model", Text, nullable=False),
    Column("learned_at_ms", BigInteger),
    Column("ran_at_ms", BigInteger),
    Column("ended_at_ms", BigInteger),  # null: it is running, or was stopped
    Column("last_run", Text),  # what the last completed run did, JSON
    Column("asked_at_ms", BigInteger),  # null: no run is requested
)

#: Scores that wait for their outcome, to be learned from: features as a JSON list of numbers.
risk_samples = Table(
    "risk_samples",
    metadata,
    Column("binding", ForeignKey("bindings.binding"), primary_key=True),
    Column("scored_at_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("features", Text, nullable=False),
)
Index("ix_risk_samples_scored", risk_samples.c.scored_at_ms, risk_samples.c.binding)

#: The last report on a binding, for people: no decision reads it. `reported`: the causes that count as reported.
binding_risks = Table(
    "binding_risks",
    metadata,
    Column("binding", ForeignKey("bindings.binding"), primary_key=True),
    Column("per_mille", Integer),  # null: no model was in use
    Column("factors", Text, nullable=False),
    Column("reported", Text, nullable=False),
    Column("scored_at_ms", BigInteger, nullable=False),
    Column("checked_up_at_ms", BigInteger, nullable=False),
)

#: Users who opted out of predictions: nothing about them is learned, scored or reported.
risk_opt_outs = Table(
    "risk_opt_outs",
    metadata,
    Column("user_id", String(64), primary_key=True),
    Column("since_ms", BigInteger, nullable=False),
)
