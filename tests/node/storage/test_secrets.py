"""The bank's and the vault's secrets: their versions, and that a node without one in use does not start."""

from contextlib import ExitStack
from dataclasses import replace

import pytest

from standing.ledger.errors import InvalidValue
from standing.ledger.service.vault import VaultError
from standing.node.accounts.bank_secrets import BankSecrets
from standing.node.composition import build
from standing.node.operations.status import bindings_by_version
from tests.world import ACCOUNT, PLATFORM, World, wait_until


def test_a_node_without_the_oldest_vault_secret_in_its_place_does_not_start(a_world: World) -> None:
    """It would take the freeze of a bound account for news of an unknown one, and vouch for having published it."""
    bank = a_world.start_bank()
    bank.feed(ACCOUNT)
    first, second = bank.secrets.vault_secret, bytes(range(32))
    for newest, older, problem in (
        (second, (), "is a vault secret missing"),
        (first, (second,), "is the oldest vault secret missing, or not the last one"),
    ):
        with pytest.raises(VaultError, match=problem):
            build(bank.settings, replace(bank.secrets, vault_secret=newest, older_vault_secrets=older), bank.clock)
    rotated = replace(bank.secrets, vault_secret=second, older_vault_secrets=(first,))
    build(bank.settings, rotated, bank.clock).database.close()


def test_a_node_without_a_bank_secret_of_active_bindings_does_not_start(a_world: World) -> None:
    """It would seal the freeze of a bound account so that its platform could not read it, even with the secret back."""
    bank = a_world.make_bank()
    good, new = bank.secrets, bytes(range(32))
    both = replace(good, newer_bank_secrets=(new,))
    with ExitStack() as stack:
        bank.start(stack)
        bank.feed(ACCOUNT)
        old = bank.bind().json()["grant"]["binding"]
    replaced = replace(good, bank_secret=new)
    with pytest.raises(InvalidValue, match="under which active bindings were granted is missing"):
        build(bank.settings, replaced, bank.clock)
    bank.secrets = both
    with ExitStack() as stack:
        bank.start(stack)
        wait_until(lambda: bank.get("/readyz").status_code == 200)
        bank.post(f"/v1/bindings/{old}/regrant", bank.platform_key, json={"request_id": "regrant-1"})
    with pytest.raises(InvalidValue, match="is missing"):
        build(bank.settings, good, bank.clock)
    build(bank.settings, replaced, bank.clock).database.close()  # no binding uses the first one any more


def test_a_new_secret_applies_to_new_bindings_and_old_ones_keep_theirs(a_world: World) -> None:
    first, second = b"\1" * 32, b"\2" * 32
    old = BankSecrets([first])
    made_before = old.new_binding_id()
    both = BankSecrets([first, second])
    made_after = both.new_binding_id()
    assert (both.version_of(made_before), both.version_of(made_after)) == (1, 2)
    assert both.binding_key(made_before, PLATFORM) == old.binding_key(made_before, PLATFORM)
    assert both.binding_key(made_after, PLATFORM) != old.binding_key(made_after, PLATFORM)
    assert BankSecrets([second]).binding_key(made_after, PLATFORM) == both.binding_key(made_after, PLATFORM), (
        "the old secret can go once nothing uses it"
    )


def test_a_binding_is_granted_again_under_the_newest_secret_and_the_old_one_ends(a_world: World) -> None:
    bank = a_world.start_bank()
    bank.feed(ACCOUNT)
    old = bank.bind().json()["grant"]
    path = f"/v1/bindings/{old['binding']}/regrant"
    answers = [bank.post(path, bank.platform_key, json={"request_id": "regrant-1"}) for _ in range(2)]
    assert answers[0].json() == answers[1].json(), "a lost answer can be requested again"
    new = answers[0].json()["grant"]
    assert new["binding"] != old["binding"]
    assert new["binding_key"] != old["binding_key"]
    wait_until(lambda: bank.get("/v1/status").json()["waiting"] == 0)
    bank.change({"number": ACCOUNT["number"], "status": "frozen"})
    again = bank.post(path, bank.platform_key, json={"request_id": "regrant-2"})
    assert again.status_code == 404, "it has ended"


@pytest.mark.long
def test_a_platform_flooding_regrants_leaves_room_for_the_cores_changes(a_world: World) -> None:
    bank = a_world.start_bank(max_waiting=20)
    bank.feed(ACCOUNT)
    binding = bank.bind().json()["grant"]["binding"]
    a_world.chain.down = True
    for turn in range(200):
        path, body = f"/v1/bindings/{binding}/regrant", {"request_id": f"regrant-{turn}"}
        answer = bank.post(path, bank.platform_key, json=body)
        if answer.status_code != 200:
            break
        binding = answer.json()["grant"]["binding"]
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    bank.feed({"number": ACCOUNT["number"], "status": "frozen"})
    a_world.chain.down = False
    wait_until(lambda: bank.get("/v1/status").json()["waiting"] == 0)
    assert bank.post(path, bank.platform_key, json=body).status_code == 200


def test_an_operator_can_see_when_no_binding_uses_an_old_secret(a_world: World) -> None:
    bank = a_world.make_bank()
    with ExitStack() as stack:
        bank.start(stack)
        bank.feed(ACCOUNT)
        old = bank.bind().json()["grant"]["binding"]
    bank.secrets = replace(bank.secrets, newer_bank_secrets=(b"\2" * 32,))
    with ExitStack() as stack:
        bank.start(stack)
        wait_until(lambda: bank.get("/readyz").status_code == 200)

        def counted() -> dict[int, int]:
            with bank.node.database.read() as connection:
                return bindings_by_version(connection, bank.secrets.bank_secrets())

        assert counted() == {1: 1, 2: 0}
        bank.post(f"/v1/bindings/{old}/regrant", bank.platform_key, json={"request_id": "regrant-1"})
        assert counted() == {1: 0, 2: 1}


@pytest.mark.parametrize("versions", [[], [b"short"], [b"\1" * 32, b"\1" * 32], [bytes([n]) * 32 for n in range(17)]])
def test_missing_short_repeated_or_too_many_secrets_are_refused(versions: list[bytes]) -> None:
    with pytest.raises(InvalidValue):
        BankSecrets(versions)
