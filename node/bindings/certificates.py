"""Certificates of good standing: the bank signs, for a platform that asks, that a binding's account is active now."""

from standing.ledger.attestations.certificate import LIFETIME_MS, Certificate, sign_certificate
from standing.ledger.attestations.terms import Status
from standing.ledger.clock import Clock
from standing.ledger.errors import Conflict
from standing.ledger.service.database import Database
from standing.ledger.service.vault import Vault
from standing.node.accounts.store import AccountStore
from standing.node.bindings.granting import active_binding
from standing.node.bindings.velocity import Bucket, Rate, Velocity
from standing.node.publishing import outbox
from standing.node.publishing.outbox import Issuer

#: How many certificates a platform may ask for at once, and in an hour.
CERTIFICATE_RATE = Rate(capacity=60, refill_per_hour=600)


class NotInGoodStanding(Conflict):
    """The account is not active, or allows nothing: the bank certifies nothing about it."""


class Certificates:
    """Issues certificates of one bank's bindings."""

    def __init__(self, database: Database, vault: Vault, issuer: Issuer, clock: Clock) -> None:
        self._database = database
        self._accounts = AccountStore(vault)
        self._issuer = issuer
        self._velocity = Velocity(vault, clock)
        self._clock = clock

    def issue(self, platform: str, binding: bytes, challenge: bytes) -> Certificate:
        """Certify a binding of this platform. It reveals no more than the ledger's record does to a holder of its key.

        Raises: NotFound (also for one that has ended), NotInGoodStanding, TooManyAttempts.
        """
        with self._database.write() as connection:
            row = active_binding(connection, platform, binding)
            bucket = Bucket(f"certificate\x1f{platform}", "this platform", CERTIFICATE_RATE)
            self._velocity.check(connection, bucket)
            self._velocity.charge(connection, 1, bucket)
            account = self._accounts.get(connection, row.account_id)
            terms = account.terms(self._issuer.secret, binding, platform)
            as_of_ms = outbox.last_as_of_ms(connection)
        if terms.status is not Status.ACTIVE or not (terms.debit_allowed or terms.credit_allowed):
            raise NotInGoodStanding("the account is not in good standing; allowed: one that is active")
        now_ms = self._clock.now_ms()
        return sign_certificate(
            self._issuer.signer,
            Certificate(
                bank=self._issuer.bic,
                binding=binding,
                platform=platform,
                challenge=challenge,
                tags=terms.tags,
                debit_allowed=terms.debit_allowed,
                credit_allowed=terms.credit_allowed,
                as_of_ms=as_of_ms,
                issued_at_ms=now_ms,
                expires_at_ms=now_ms + LIFETIME_MS,
            ),
        )
