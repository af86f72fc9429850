"""The rights to admit, suspend, reinstate and rotate; what each step changes, and what it leaves alone."""

from typing import Any

import pytest
from eth_utils import keccak

from tests.contracts.abi import Event, Refusal
from tests.contracts.chain import Account
from tests.contracts.ledger import (
    ZERO_ADDRESS,
    ZERO_HASH,
    BankState,
    Issuer,
    StatusLedger,
    attestation,
    binding,
    signer,
)

NEW = b"CHASUS33\0\0\0"
HEAD = b"\x77" * 32
REGISTRAR_ROLE = keccak(text="REGISTRAR_ROLE")
GUARDIAN_ROLE = keccak(text="GUARDIAN_ROLE")
GOVERNOR_ROLE = bytes(32)
KEY = signer("named by governance").address


def _lower(address: str) -> str:
    return address.lower()


@pytest.fixture
def admin(ledger: StatusLedger) -> Account:
    return ledger.chain.accounts[6]


@pytest.fixture
def suspended(ledger: StatusLedger, bank: Issuer) -> Issuer:
    """A suspended bank with one record."""
    now = ledger.latest_ms
    assert bank.publish(ledger, attestation(1), watermark_ms=now).ok
    assert ledger.transact(ledger.guardian, "suspend", bank.bank).ok
    return bank


def _refused(ledger: StatusLedger, account: Account, function: str, *arguments: Any) -> Refusal:
    """The refusal of a call that must change nothing about the bank it names."""
    before = ledger.bank(arguments[0])
    refusal = ledger.refusal(ledger.transact(account, function, *arguments))
    assert ledger.bank(arguments[0]) == before
    return refusal


# --- admission


def test_admission_starts_an_empty_history(ledger: StatusLedger, admin: Account) -> None:
    outcome = ledger.transact(ledger.registrar, "admit", NEW, KEY, admin.address, 0, ZERO_HASH)
    assert ledger.bank(NEW) == BankState(_lower(KEY), 0, 0, _lower(admin.address), False, ZERO_HASH)
    arguments = {"bank": NEW, "signer": _lower(KEY), "admin": _lower(admin.address), "number": 0, "head": ZERO_HASH}
    assert outcome.events(ledger.abi) == [Event("BankAdmitted", arguments)]


def test_admission_goes_on_from_a_history(ledger: StatusLedger, admin: Account) -> None:
    outcome = ledger.transact(ledger.registrar, "admit", NEW, KEY, admin.address, 41, HEAD)
    assert ledger.bank(NEW) == BankState(_lower(KEY), 41, 0, _lower(admin.address), False, HEAD)
    arguments = {"bank": NEW, "signer": _lower(KEY), "admin": _lower(admin.address), "number": 41, "head": HEAD}
    assert outcome.events(ledger.abi) == [Event("BankAdmitted", arguments)]


BAD_ADMISSIONS: dict[str, tuple[bytes, str, bool, int, bytes, Refusal]] = {
    "zero bank": (bytes(11), KEY, True, 0, ZERO_HASH, Refusal("ZeroNotAllowed")),
    "zero signer": (NEW, ZERO_ADDRESS, True, 0, ZERO_HASH, Refusal("ZeroNotAllowed")),
    "zero admin": (NEW, KEY, False, 0, ZERO_HASH, Refusal("ZeroNotAllowed")),
    "number without head": (NEW, KEY, True, 1, ZERO_HASH, Refusal("IncompleteHistory", (1, ZERO_HASH))),
    "head without number": (NEW, KEY, True, 0, HEAD, Refusal("IncompleteHistory", (0, HEAD))),
    "zero signer and half a history": (NEW, ZERO_ADDRESS, True, 1, ZERO_HASH, Refusal("ZeroNotAllowed")),
}


@pytest.mark.parametrize("case", BAD_ADMISSIONS.values(), ids=BAD_ADMISSIONS.keys())
def test_bad_admission_is_refused(
    ledger: StatusLedger, admin: Account, case: tuple[bytes, str, bool, int, bytes, Refusal]
) -> None:
    bank, key, with_admin, number, head, expected = case
    given = admin.address if with_admin else ZERO_ADDRESS
    assert _refused(ledger, ledger.registrar, "admit", bank, key, given, number, head) == expected


def test_a_bank_cannot_be_admitted_again_to_set_its_history_back(ledger: StatusLedger, suspended: Issuer) -> None:
    """Neither while suspended nor otherwise, whatever history is named. An incomplete history is reported first."""
    bank = suspended.bank
    for number, head in ((0, ZERO_HASH), (1, HEAD)):
        refusal = _refused(ledger, ledger.registrar, "admit", bank, KEY, suspended.admin.address, number, head)
        assert refusal == Refusal("BankAlreadyAdmitted", (bank,))
    refusal = _refused(ledger, ledger.registrar, "admit", bank, KEY, suspended.admin.address, 1, ZERO_HASH)
    assert refusal == Refusal("IncompleteHistory", (1, ZERO_HASH))


# --- suspension


def test_suspension_stops_the_bank_at_once_and_keeps_its_state(ledger: StatusLedger, bank: Issuer) -> None:
    now = ledger.latest_ms
    assert bank.publish(ledger, attestation(1), watermark_ms=now).ok
    before = ledger.bank(bank.bank)
    outcome = ledger.transact(ledger.guardian, "suspend", bank.bank)
    arguments = {"bank": bank.bank, "by": _lower(ledger.guardian.address)}
    assert outcome.events(ledger.abi) == [Event("BankSuspended", arguments)]
    assert ledger.bank(bank.bank) == before._replace(suspended=True)
    assert ledger.refusal(bank.publish(ledger)) == Refusal("BankIsSuspended", (bank.bank,))


def test_suspension_of_one_bank_leaves_the_others_alone(
    ledger: StatusLedger, suspended: Issuer, other_bank: Issuer
) -> None:
    assert ledger.bank(suspended.bank).suspended
    assert not ledger.bank(other_bank.bank).suspended
    assert other_bank.publish(ledger).ok


def test_a_suspended_bank_is_not_suspended_again(ledger: StatusLedger, suspended: Issuer) -> None:
    refusal = _refused(ledger, ledger.guardian, "suspend", suspended.bank)
    assert refusal == Refusal("BankIsSuspended", (suspended.bank,))


# --- reinstatement


def test_reinstatement_names_the_keys_anew_and_keeps_the_history(
    ledger: StatusLedger, suspended: Issuer, admin: Account
) -> None:
    before = ledger.bank(suspended.bank)
    record = ledger.record(suspended.bank, binding(1))
    outcome = ledger.transact(ledger.registrar, "reinstate", suspended.bank, KEY, admin.address)
    arguments = {"bank": suspended.bank, "signer": _lower(KEY), "admin": _lower(admin.address)}
    assert outcome.events(ledger.abi) == [Event("BankReinstated", arguments)]
    assert ledger.bank(suspended.bank) == before._replace(
        signer=_lower(KEY), admin=_lower(admin.address), suspended=False
    )
    assert ledger.record(suspended.bank, binding(1)) == record._replace(suspended=False)


def test_reinstatement_cuts_the_former_signer_and_admin_off(
    ledger: StatusLedger, suspended: Issuer, admin: Account
) -> None:
    new = signer("named by governance")
    assert ledger.transact(ledger.registrar, "reinstate", suspended.bank, new.address, admin.address).ok
    assert ledger.refusal(suspended.publish(ledger)).name == "WrongSignature"
    refusal = _refused(ledger, suspended.admin, "rotateSigner", suspended.bank, suspended.signer.address)
    assert refusal == Refusal("NotBankAdmin", (suspended.bank, _lower(suspended.admin.address)))
    assert Issuer(suspended.bic, new, admin).publish(ledger).ok


@pytest.mark.parametrize("zero", ["signer", "admin"])
def test_reinstatement_with_a_zero_address_is_refused(ledger: StatusLedger, suspended: Issuer, zero: str) -> None:
    keys = [ZERO_ADDRESS if zero == name else KEY for name in ("signer", "admin")]
    assert _refused(ledger, ledger.registrar, "reinstate", suspended.bank, *keys) == Refusal("ZeroNotAllowed")


def test_only_a_suspended_bank_can_be_reinstated(ledger: StatusLedger, bank: Issuer) -> None:
    """Otherwise the registrar alone could replace a working bank's keys. It is checked before a zero address."""
    for key in (KEY, ZERO_ADDRESS):
        refusal = _refused(ledger, ledger.registrar, "reinstate", bank.bank, key, KEY)
        assert refusal == Refusal("BankNotSuspended", (bank.bank,))


# --- rotation


def test_rotation_replaces_the_signer_alone(ledger: StatusLedger, bank: Issuer) -> None:
    before = ledger.bank(bank.bank)
    outcome = ledger.transact(bank.admin, "rotateSigner", bank.bank, KEY)
    arguments = {"bank": bank.bank, "previousSigner": before.signer, "signer": _lower(KEY)}
    assert outcome.events(ledger.abi) == [Event("SignerRotated", arguments)]
    assert ledger.bank(bank.bank) == before._replace(signer=_lower(KEY))


def test_rotation_to_the_zero_address_is_refused(ledger: StatusLedger, bank: Issuer) -> None:
    assert _refused(ledger, bank.admin, "rotateSigner", bank.bank, ZERO_ADDRESS) == Refusal("ZeroNotAllowed")


def test_rotation_does_not_end_a_suspension(ledger: StatusLedger, suspended: Issuer) -> None:
    new = signer("named by governance")
    assert ledger.transact(suspended.admin, "rotateSigner", suspended.bank, new.address).ok
    assert ledger.bank(suspended.bank).suspended
    refusal = ledger.refusal(Issuer(suspended.bic, new, suspended.admin).publish(ledger))
    assert refusal == Refusal("BankIsSuspended", (suspended.bank,))


@pytest.mark.parametrize("who", ["governor", "registrar", "guardian", "submitter", "other bank's admin", "signer"])
def test_only_the_banks_own_admin_rotates(ledger: StatusLedger, bank: Issuer, other_bank: Issuer, who: str) -> None:
    signing = ledger.chain.accounts[8]
    assert ledger.transact(bank.admin, "rotateSigner", bank.bank, signing.address).ok
    account = {"other bank's admin": other_bank.admin, "signer": signing}.get(who) or getattr(ledger, who)
    refusal = _refused(ledger, account, "rotateSigner", bank.bank, KEY)
    assert refusal == Refusal("NotBankAdmin", (bank.bank, _lower(account.address)))


@pytest.mark.parametrize("function", ["suspend", "reinstate", "rotateSigner"])
def test_an_unknown_bank_is_refused_as_not_admitted(ledger: StatusLedger, function: str) -> None:
    """Before any other check; the zero address has no rights over banks without an admin."""
    account = {"suspend": ledger.guardian, "reinstate": ledger.registrar}.get(function, ledger.submitter)
    arguments = {"suspend": (), "reinstate": (KEY, KEY), "rotateSigner": (KEY,)}[function]
    assert _refused(ledger, account, function, NEW, *arguments) == Refusal("BankNotAdmitted", (NEW,))


# --- roles


CALLS: dict[str, tuple[bytes, str]] = {
    "admit": (REGISTRAR_ROLE, "registrar"),
    "reinstate": (REGISTRAR_ROLE, "registrar"),
    "suspend": (GUARDIAN_ROLE, "guardian"),
}


@pytest.mark.parametrize("who", ["governor", "registrar", "guardian", "submitter", "admin"])
@pytest.mark.parametrize("function", CALLS)
def test_a_caller_without_the_role_is_refused_and_changes_nothing(
    ledger: StatusLedger, bank: Issuer, suspended: Issuer, other_bank: Issuer, function: str, who: str
) -> None:
    """Every account but the role's own is refused; the refusal comes before any other."""
    role, holder = CALLS[function]
    account = bank.admin if who == "admin" else getattr(ledger, who)
    arguments = {
        "admit": (NEW, KEY, KEY, 0, ZERO_HASH),
        "reinstate": (suspended.bank, KEY, KEY),
        "suspend": (other_bank.bank,),
    }[function]
    if who == holder:
        assert ledger.transact(account, function, *arguments).ok
    else:
        refusal = _refused(ledger, account, function, *arguments)
        assert refusal == Refusal("AccessControlUnauthorizedAccount", (_lower(account.address), role))


def test_the_governor_moves_the_roles_and_only_the_governor(ledger: StatusLedger) -> None:
    successor = ledger.chain.accounts[7]
    by = _lower(ledger.governor.address)
    for role, holder in ((REGISTRAR_ROLE, ledger.registrar), (GUARDIAN_ROLE, ledger.guardian)):
        for stranger in (ledger.registrar, ledger.guardian, ledger.submitter):
            refusal = ledger.refusal(ledger.transact(stranger, "grantRole", role, successor.address))
            arguments = (_lower(stranger.address), GOVERNOR_ROLE)
            assert refusal == Refusal("AccessControlUnauthorizedAccount", arguments)
        granted = ledger.transact(ledger.governor, "grantRole", role, successor.address)
        new = {"role": role, "account": _lower(successor.address), "sender": by}
        assert granted.events(ledger.abi) == [Event("RoleGranted", new)]
        revoked = ledger.transact(ledger.governor, "revokeRole", role, holder.address)
        former = {"role": role, "account": _lower(holder.address), "sender": by}
        assert revoked.events(ledger.abi) == [Event("RoleRevoked", former)]
        assert ledger.ask("hasRole", role, successor.address)
        assert not ledger.ask("hasRole", role, holder.address)


def test_a_role_is_given_up_by_its_holder_and_by_nobody_else(ledger: StatusLedger, bank: Issuer) -> None:
    """The holder names itself, so that nothing is renounced by mistake."""
    guardian = ledger.guardian.address
    for account, named in ((ledger.submitter, guardian), (ledger.governor, guardian), (ledger.guardian, KEY)):
        refusal = ledger.refusal(ledger.transact(account, "renounceRole", GUARDIAN_ROLE, named))
        assert refusal == Refusal("AccessControlBadConfirmation")
    assert ledger.ask("hasRole", GUARDIAN_ROLE, guardian)
    outcome = ledger.transact(ledger.guardian, "renounceRole", GUARDIAN_ROLE, guardian)
    arguments = {"role": GUARDIAN_ROLE, "account": _lower(guardian), "sender": _lower(guardian)}
    assert outcome.events(ledger.abi) == [Event("RoleRevoked", arguments)]
    refusal = _refused(ledger, ledger.guardian, "suspend", bank.bank)
    assert refusal == Refusal("AccessControlUnauthorizedAccount", (_lower(guardian), GUARDIAN_ROLE))


def test_construction_gives_each_role_to_one_account(ledger: StatusLedger) -> None:
    holders = {
        GOVERNOR_ROLE: ledger.governor,
        REGISTRAR_ROLE: ledger.registrar,
        GUARDIAN_ROLE: ledger.guardian,
    }
    for role, holder in holders.items():
        holding = [account for account in ledger.chain.accounts if ledger.ask("hasRole", role, account.address)]
        assert holding == [holder]
        assert ledger.ask("getRoleAdmin", role) == GOVERNOR_ROLE
