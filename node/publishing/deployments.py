"""The deployments of the ledger that this store has published to. A bank's history continues from one to the next."""

from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from standing.ledger.attestations.publication import Domain
from standing.ledger.chain.connection import parse_address
from standing.node.storage import schema


@dataclass(frozen=True, slots=True)
class Deployment:
    """One deployment. Publications up to `base_number` belong to earlier ones and are not on this one."""

    domain: Domain
    base_number: int


def current(connection: Connection) -> Deployment | None:
    """The deployment that this store publishes to; None before the first."""
    row = connection.execute(select(schema.deployments).order_by(schema.deployments.c.id.desc()).limit(1)).one_or_none()
    if row is None:
        return None
    return Deployment(Domain(row.chain_id, parse_address(row.contract, "contract")), row.base_number)


def begin(connection: Connection, domain: Domain, base_number: int, now_ms: int) -> Deployment:
    """Publish to another deployment from now on."""
    connection.execute(
        insert(schema.deployments).values(
            chain_id=domain.chain_id, contract=domain.contract, base_number=base_number, since_ms=now_ms
        )
    )
    return Deployment(domain, base_number)
