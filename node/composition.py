"""The node's services, built from its settings. `app` serves them; commands use them without HTTP."""

from dataclasses import dataclass

import structlog
from sqlalchemy import Connection

from standing.ledger.attestations.publication import LocalSigner, Signer
from standing.ledger.chain.client import LedgerClient
from standing.ledger.chain.sender import Sender
from standing.ledger.clock import Clock, SystemClock
from standing.ledger.service.console.sessions import Sessions
from standing.ledger.service.settings import SettingsError, read_secret
from standing.ledger.service.vault import Vault
from standing.node.accounts.bank_secrets import BankSecrets
from standing.node.accounts.quarantine import Quarantine
from standing.node.accounts.store import AccountStore, check_bank_secrets
from standing.node.bindings.assembly import make_bindings
from standing.node.bindings.certificates import Certificates
from standing.node.bindings.housekeeping import housekeeping_tasks
from standing.node.bindings.off_boarding import OffBoardings
from standing.node.bindings.regranting import Regranting
from standing.node.bindings.resync import Resync
from standing.node.bindings.service import Bindings
from standing.node.bindings.velocity import Velocity
from standing.node.fault_points import Faults, faults_of
from standing.node.feed.service import Feed
from standing.node.feed.sources import source_tasks
from standing.node.publishing.agreement import LedgerAgreement
from standing.node.publishing.keys import PKCS11_MISSING, load_private_key
from standing.node.publishing.metrics import Meters
from standing.node.publishing.outbox import Issuer
from standing.node.publishing.publisher import Publisher, PublisherOptions
from standing.node.publishing.restating import Restating
from standing.node.publishing.submission import Submitter
from standing.node.publishing.trail import Trail
from standing.node.settings import PEOPLE, NodeSettings
from standing.node.storage import schema
from standing.node.storage.database import NodeDatabase, prepare
from standing.node.storage.leadership import Leadership
from standing.node.workers import Workers


@dataclass(frozen=True, slots=True)
class Secrets:
    """The contents of the secret files in the settings. The sending key is a private key, or a signer in its place."""

    bank_secret: bytes
    vault_secret: bytes
    signer: Signer
    sender_key: bytes | Signer
    newer_bank_secrets: tuple[bytes, ...] = ()
    older_vault_secrets: tuple[bytes, ...] = ()

    def bank_secrets(self) -> BankSecrets:
        """The bank's secrets, by version. Raises: InvalidValue."""
        return BankSecrets([self.bank_secret, *self.newer_bank_secrets])

    def bank_secrets_of(self, database: NodeDatabase) -> BankSecrets:
        """As `bank_secrets`, checked against the bindings in the database. Raises: DatabaseUnavailable as well."""
        checked = self.bank_secrets()
        with database.read() as connection:
            check_bank_secrets(connection, checked)
        return checked

    def vault(self) -> Vault:
        """The vault for personal data in the node's database. Raises: InvalidValue."""
        return Vault([self.vault_secret, *self.older_vault_secrets], "node")

    def vault_of(self, database: NodeDatabase) -> Vault:
        """As `vault`, checked against what the database holds. Raises: VaultError, DatabaseUnavailable as well."""
        return _checked(self.vault(), database)


@dataclass(frozen=True, slots=True)
class Node:
    """The services of a running node."""

    settings: NodeSettings
    clock: Clock
    database: NodeDatabase
    client: LedgerClient
    feed: Feed
    bindings: Bindings
    off_boardings: OffBoardings
    resync: Resync
    certificates: Certificates
    regranting: Regranting
    workers: Workers
    publisher: Publisher
    leadership: Leadership
    meters: Meters
    trail: Trail
    quarantine: Quarantine
    sessions: Sessions


def read_secrets(settings: NodeSettings) -> Secrets:
    """Read every secret file that the settings name. Raises: SettingsError."""
    return Secrets(
        bank_secret=read_secret(settings.bank_secret_file, "bank_secret_file"),
        vault_secret=read_secret(settings.vault_secret_file, "vault_secret_file"),
        signer=open_signer(settings),
        sender_key=open_sender(settings),
        newer_bank_secrets=tuple(
            read_secret(file, "newer_bank_secret_files") for file in settings.newer_bank_secret_files
        ),
        older_vault_secrets=tuple(
            read_secret(file, "older_vault_secret_files") for file in settings.older_vault_secret_files
        ),
    )


def build(settings: NodeSettings, secrets: Secrets, clock: Clock | None = None, faults: Faults | None = None) -> Node:
    """Connect to the ledger and the database, migrate the database, and build the services.

    Raises: LedgerUnreachable, LedgerMismatch, InvalidValue (a secret, a profile), VaultError. Nothing stays open then.
    """
    faults = faults or faults_of(settings.fault_point)
    client = connect_ledger(settings)
    database = NodeDatabase(settings.database_url)
    try:
        prepare(database)
        return _services(settings, secrets, clock or SystemClock(), faults, client, database)
    except BaseException:
        database.close()
        raise


def _services(
    settings: NodeSettings,
    secrets: Secrets,
    clock: Clock,
    faults: Faults,
    client: LedgerClient,
    database: NodeDatabase,
) -> Node:
    """The services, on a database that is up to date. Raises: InvalidValue, VaultError."""
    vault = secrets.vault_of(database)
    issuer = issuer_of(settings, secrets, database)

    def check(connection: Connection) -> None:
        AccountStore(vault).check_vault(connection)
        check_bank_secrets(connection, issuer.secret)

    leadership, meters = Leadership(database, clock, faults, check), Meters()
    publisher = _publisher(settings, secrets, vault, database, client, issuer, clock, leadership, meters, faults)
    feed = Feed(
        database,
        vault,
        issuer.secret,
        clock,
        max_waiting=settings.max_waiting,
        on_change=publisher.wake,
        faults=faults,
        source=settings.feed_source,
    )
    bindings, deposits = make_bindings(
        settings.micro_deposit, settings.velocity, database, vault, issuer, clock, publisher.wake, faults
    )
    off_boardings = OffBoardings(database, vault, issuer, clock, max_waiting=settings.max_waiting, faults=faults)
    return Node(
        settings=settings,
        clock=clock,
        database=database,
        client=client,
        feed=feed,
        bindings=bindings,
        off_boardings=off_boardings,
        regranting=Regranting(
            database,
            vault,
            issuer,
            clock,
            rate=settings.velocity.rates().platform,
            max_waiting=settings.max_waiting,
            on_change=publisher.wake,
            faults=faults,
        ),
        certificates=Certificates(database, vault, issuer, clock),
        resync=Resync(database, vault, issuer, clock, on_doubt=publisher.send_again, faults=faults),
        workers=Workers(
            [
                *source_tasks(
                    settings.sql_view, settings.drop_folder, feed=feed, database=database, vault=vault, faults=faults
                ),
                *housekeeping_tasks(
                    settings.velocity.rates(), database, deposits, off_boardings, Velocity(vault, clock), publisher.wake
                ),
            ]
        ),
        publisher=publisher,
        leadership=leadership,
        meters=meters,
        trail=Trail(database),
        quarantine=Quarantine(vault, clock),
        sessions=_sessions(settings, database, vault, clock),
    )


def _sessions(settings: NodeSettings, database: NodeDatabase, vault: Vault, clock: Clock) -> Sessions:
    sessions = Sessions(
        database, schema.console, clock, settings.console, people=PEOPLE, secret=vault.lookup("console", "address")
    )
    sessions.accept(settings.api_keys)
    return sessions


def issuer_of(settings: NodeSettings, secrets: Secrets, database: NodeDatabase) -> Issuer:
    """The publishing bank, its secrets checked against the bindings in the database.

    Raises: InvalidValue, DatabaseUnavailable.
    """
    return Issuer(settings.bic, secrets.bank_secrets_of(database), secrets.signer, settings.publisher.herd_size)


def connect_ledger(settings: NodeSettings) -> LedgerClient:
    """Connect to the ledger's nodes and check each that answers; the others are checked before their first use.

    Raises: LedgerUnreachable where none answers, LedgerMismatch, InvalidValue.
    """
    client = LedgerClient(
        settings.all_ledger_urls, settings.ledger_contract, timeout_s=settings.ledger_timeout_ms / 1000
    )
    for name in client.check(settings.chain_id):
        structlog.get_logger().warning("ledger_node_silent", node=name)
    return client


def _publisher(
    settings: NodeSettings,
    secrets: Secrets,
    vault: Vault,
    database: NodeDatabase,
    client: LedgerClient,
    issuer: Issuer,
    clock: Clock,
    leadership: Leadership,
    meters: Meters,
    faults: Faults,
) -> Publisher:
    options = PublisherOptions(**settings.publisher.model_dump(exclude={"herd_size"}))
    submitter = Submitter(
        database,
        client,
        Sender(client, secrets.sender_key, max_gas_price_wei=settings.max_gas_price_wei),
        issuer,
        clock,
        resend_after_ms=options.resend_after_ms,
        meters=meters,
        faults=faults,
    )
    return Publisher(
        database,
        client,
        LedgerAgreement(database, client, issuer, clock, resend_after_ms=options.resend_after_ms),
        submitter,
        Restating(AccountStore(vault), issuer),
        issuer,
        clock,
        options,
        confirm_leadership=leadership.confirm,
        meters=meters,
        faults=faults,
    )


def open_vault(settings: NodeSettings, database: NodeDatabase) -> Vault:
    """The vault for personal data in the node's database. Raises: SettingsError, VaultError, DatabaseUnavailable."""
    newest = read_secret(settings.vault_secret_file, "vault_secret_file")
    older = [read_secret(file, "older_vault_secret_files") for file in settings.older_vault_secret_files]
    return _checked(Vault([newest, *older], "node"), database)


def _checked(vault: Vault, database: NodeDatabase) -> Vault:
    with database.read() as connection:
        AccountStore(vault).check_vault(connection)
    return vault


def open_signer(settings: NodeSettings) -> Signer:
    """The signer of publications and grants: a key in a token, or in a keystore. Raises: SettingsError."""
    if settings.signer_pkcs11 is not None:
        try:
            # Imported only here: the library is an extra that only those with a token install.
            from standing.node.publishing.hsm import Pkcs11Signer  # noqa: PLC0415
        except ModuleNotFoundError as error:
            raise SettingsError(PKCS11_MISSING) from error
        return Pkcs11Signer(settings.signer_pkcs11)
    assert settings.signer_keystore is not None  # the settings guarantee one or the other
    assert settings.signer_password_file is not None
    return LocalSigner(load_private_key(settings.signer_keystore, settings.signer_password_file, "signer"))


def open_sender(settings: NodeSettings) -> Signer:
    """The signer of transactions, whose account pays for them. Raises: SettingsError."""
    return LocalSigner(load_private_key(settings.sender_keystore, settings.sender_password_file, "sender"))
