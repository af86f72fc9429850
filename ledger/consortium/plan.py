"""The plan of a consortium: who is a member, where its node is, who validates, who governs the contract."""

from ipaddress import IPv4Address
from typing import Annotated, Any, Literal, Self

from eth_keys.datatypes import PublicKey
from eth_keys.exceptions import ValidationError as NoKey
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from standing.ledger.attestations.bic import parse_bic
from standing.ledger.attestations.binding_protocol import PLATFORM_PATTERN
from standing.ledger.chain.connection import parse_address
from standing.ledger.errors import StandingError
from standing.ledger.service.settings import faults

#: QBFT tolerates f faulty validators out of 3f + 1.
FEWEST_VALIDATORS = 4

EXAMPLE = """# A consortium. Each member makes its node's key (`standing-network key`) and shares the public half.
chain_id = 20261
block_period_s = 1
gas_limit = 100000000
# The accounts that send the transactions of these roles; `standing-node ledger deploy` grants the roles themselves.
# A multisig sends none and exists only once the ledger runs: name as the registrar the account that pays for it.
registrar = "0x…"             # admits banks
guardian = "0x…"              # may suspend a bank at once
governor = "0x…"              # may grant both roles

[[members]]
name = "yunxi-bank"
bank = "YUNXCNB0"
host = "10.0.0.11"            # where the others reach its node
node_key = "…"                # 128 hexadecimal digits
validator = true
# Who of this member may send transactions: the node's sender, the bank's admin, and whoever pays for a multisig's.
accounts = ["0x…"]

[[members]]
name = "haiyu-bank"
bank = "HAIYCNS0001"
host = "10.0.0.12"
node_key = "…"
validator = true
accounts = ["0x…"]

[[members]]
name = "beishan-bank"
bank = "BEISCNB0"
host = "10.0.0.13"
node_key = "…"
validator = true
accounts = ["0x…"]

[[members]]
name = "nanhu-bank"
bank = "NANHCNG0"
host = "10.0.0.14"
node_key = "…"
validator = true              # the fourth: with fewer validators than four none may fail
accounts = ["0x…"]

[[members]]
name = "jinqiao-pay"
platform = "jinqiao-pay"
host = "10.0.0.21"
node_key = "…"
validator = false             # an observer: it follows and serves reads, and has no vote
"""


class PlanRefused(StandingError):
    """The plan cannot become a network; the text says what is wrong and what is allowed."""


def _address(text: str) -> str:
    try:
        return parse_address(text, "address")
    except StandingError as error:
        raise ValueError(str(error)) from error


def _public_key(text: str) -> str:
    try:
        PublicKey(bytes.fromhex(text.removeprefix("0x")))
    except (ValueError, NoKey) as error:
        raise ValueError("not a node's public key; allowed: 128 hexadecimal digits") from error
    return text.removeprefix("0x").lower()


def _ipv4(text: str) -> str:
    try:
        address = IPv4Address(text)
    except ValueError as error:
        raise ValueError("not an IPv4 address; allowed: four numbers up to 255") from error
    if address.is_unspecified or address.is_multicast or address.is_reserved:
        raise ValueError("no machine has this address; allowed: the one at which the others reach the node")
    return str(address)


def _bic(text: str) -> str:
    try:
        return parse_bic(text)
    except StandingError as error:
        raise ValueError(str(error)) from error


Address = Annotated[str, AfterValidator(_address)]


class Member(BaseModel):
    """A bank or a platform with a node of the network."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern="^[a-z][a-z0-9-]{0,30}$")
    bank: Annotated[str, AfterValidator(_bic)] | None = None
    platform: str | None = Field(None, pattern=PLATFORM_PATTERN)
    #: An IPv4 address: Besu's permissioning compares addresses, and names only as an experiment.
    host: Annotated[str, AfterValidator(_ipv4)]
    p2p_port: int = Field(30303, ge=1, le=65535)
    node_key: Annotated[str, AfterValidator(_public_key)]
    validator: bool
    accounts: list[Address] = Field(default_factory=list, max_length=16)

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.bank is None) == (self.platform is None):
            raise ValueError(f"{self.name}: allowed: either bank or platform")
        return self

    @property
    def kind(self) -> Literal["node", "gateway"]:
        """The part of Standing that this member runs."""
        return "node" if self.bank is not None else "gateway"

    @property
    def enode(self) -> str:
        """The node's address among its peers."""
        return f"enode://{self.node_key}@{self.host}:{self.p2p_port}"

    @property
    def address(self) -> str:
        """The node's address as a validator: that of its key."""
        return PublicKey(bytes.fromhex(self.node_key)).to_checksum_address()


class Plan(BaseModel):
    """A whole consortium."""

    model_config = ConfigDict(extra="forbid")

    chain_id: int = Field(ge=1, le=2**53)
    block_period_s: int = Field(1, ge=1, le=60)
    gas_limit: int = Field(100_000_000, ge=10_000_000, le=1_000_000_000)
    registrar: Address
    guardian: Address
    governor: Address
    members: list[Member] = Field(min_length=1, max_length=500)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for what in ("name", "node_key", "enode", "bank", "platform"):
            stated = [value for member in self.members if (value := getattr(member, what)) is not None]
            twice = sorted({value for value in stated if stated.count(value) > 1})
            if twice:
                raise ValueError(f"members: {what}: {twice[0]} is listed twice; allowed: once")
        if len(self.validators) < FEWEST_VALIDATORS:
            wanted = f"allowed: {FEWEST_VALIDATORS} or more, so that one may fail"
            raise ValueError(f"members: {len(self.validators)} validators; {wanted}")
        return self

    @property
    def validators(self) -> list[Member]:
        """The members whose nodes make blocks."""
        return [member for member in self.members if member.validator]

    @property
    def accounts(self) -> list[str]:
        """The accounts that may send a transaction."""
        own: list[str] = [account for member in self.members for account in member.accounts]
        return list(dict.fromkeys([self.governor, self.registrar, self.guardian, *own]))


def parse_plan(stated: dict[str, Any]) -> Plan:
    """A plan from its TOML. Raises: PlanRefused, with every fault in a line of its own."""
    try:
        return Plan.model_validate(stated)
    except ValidationError as error:
        # Without the values: a wrong one may be a private key in the place of the public one.
        raise PlanRefused("\n".join(faults(error))) from error
