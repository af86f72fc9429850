"""The gateway's tables. The newest Alembic revision makes exactly these; a test compares the two.

No personal data is stored: of an account only its masked number and a keyed hash, of a holder only the tags that the
bank's word is compared with. Binding keys are encrypted (`ledger.service.vault`).
"""

from sqlalchemy import BigInteger, Column, Date, ForeignKey, LargeBinary, MetaData, String, Table, Text

metadata = MetaData()

#: One account of one user. `floor` is the highest publication whose record opened with the binding's key; a binding
#: ends once, and is told to the bank afterwards.
bindings = Table(
    "bindings",
    metadata,
    Column("binding", LargeBinary, primary_key=True),
    Column("bank", String(11), nullable=False),
    Column("user_id", String(64), nullable=False, index=True),
    Column("number_masked", String(34), nullable=False),
    Column("number_type", String(8), nullable=False),
    Column("account", LargeBinary, nullable=False),  # keyed hash of bank and number
    Column("key_sealed", LargeBinary, nullable=False),
    Column("tags", LargeBinary, nullable=False),  # 12 bytes, as in the terms
    Column("granted_at_ms", BigInteger, nullable=False),
    Column("grant_signature", LargeBinary, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("ended_at_ms", BigInteger),
    Column("bank_told_at_ms", BigInteger),
    Column("floor", BigInteger, nullable=False),
)

#: Every decision, with the answer as it was given.
decisions = Table(
    "decisions",
    metadata,
    Column("transaction_id", String(64), primary_key=True),
    Column("binding", ForeignKey("bindings.binding"), nullable=False, index=True),
    Column("kind", String(10), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("outcome", String(8), nullable=False),
    Column("reason", String(32)),
    Column("decided_at_ms", BigInteger, nullable=False),
    Column("answer", Text, nullable=False),  # JSON
)

#: What approved payments hold of a day's limit: reserved, then captured or voided.
reservations = Table(
    "reservations",
    metadata,
    Column("transaction_id", ForeignKey("decisions.transaction_id"), primary_key=True),
    Column("account", LargeBinary, nullable=False),
    Column("day", Date, nullable=False),  # in the bank's time zone
    Column("currency", String(3), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("state", String(8), nullable=False),
    Column("settled_at_ms", BigInteger),
)

#: The sum of what is reserved or captured: one row for an account's day.
usage = Table(
    "usage",
    metadata,
    Column("account", LargeBinary, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("currency", String(3), primary_key=True),
    Column("used_minor", BigInteger, nullable=False),
)
