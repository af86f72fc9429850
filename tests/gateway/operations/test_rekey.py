"""Keys at rest: sources of the secret, re-encryption, and the contents of a stolen database."""

import asyncio
import json
import secrets
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import InvalidToken
from sqlalchemy import delete, func, insert, select
from typer.testing import CliRunner

from standing.gateway.cli import app
from standing.gateway.errors import StorageUnavailable
from standing.gateway.operations import rekey as rekey_module
from standing.gateway.operations.rekey import count_sealed, rekey, sealed_columns
from standing.gateway.settings import EXAMPLE, GatewaySettings, read_vault_secrets
from standing.gateway.storage import schema
from standing.gateway.storage.database import Storage
from standing.gateway.storage.vault import check_current, open_vault
from standing.ledger.errors import InvalidValue
from standing.ledger.service.database import Database, migrate
from standing.ledger.service.settings import SettingsError, load
from standing.ledger.service.vault import Vault, VaultError
from tests.gateway.decision_rig import TAGS
from tests.gateway.gateway_rig import Rig, rig

OLD, NEW = bytes(range(32)), bytes(range(32, 64))


def _fill(storage: Storage, vault: Vault, count: int) -> dict[bytes, bytes]:
    """Bindings and audit entries. Returns: the binding keys by binding."""
    keys = {secrets.token_bytes(32): secrets.token_bytes(32) for _ in range(count)}
    rows = [
        {
            "binding": binding,
            "bank": "YUNXCNB0",
            "user_id": "u-1",
            "number_masked": "****",
            "number_type": "card",
            "account": vault.lookup("account", binding.hex()),
            "key_sealed": vault.seal(key),
            "tags": TAGS.pack(),
            "granted_at_ms": 1,
            "grant_signature": bytes(65),
            "created_at_ms": 1,
            "floor": 0,
        }
        for binding, key in keys.items()
    ]
    entry = {"at_ms": 1, "caller": "c", "role": "support", "action": "a", "subject": "s"}
    with storage.write() as connection:
        connection.execute(insert(schema.bindings), rows)
        for index in range(3):
            connection.execute(insert(schema.audit).values(**entry, reason_sealed=vault.seal_text(f"why {index}")))
        connection.execute(
            insert(schema.pending_bindings),
            [
                {
                    "bank": "YUNXCNB0",
                    "request_id": f"request-{index}",
                    "user_id": "u-1",
                    "deposit": bytes(32),
                    "number_masked": "****",
                    "number_type": "card",
                    "account": bytes(32),
                    # Nothing is kept of one that led to a binding.
                    "identity_sealed": vault.seal_text("{}") if index else None,
                    "currency": "CNY",
                    "created_at_ms": 1,
                    "expires_at_ms": 2,
                }
                for index in range(2)
            ],
        )
    return keys


def _opens(storage: Storage, vault: Vault, keys: dict[bytes, bytes]) -> None:
    with storage.read() as connection:
        rows = connection.execute(select(schema.bindings.c.binding, schema.bindings.c.key_sealed)).all()
    assert {row.binding: vault.unseal(row.key_sealed) for row in rows} == keys


def test_everything_is_re_encrypted_and_the_old_secret_can_be_removed(storage: Storage) -> None:
    keys = _fill(storage, open_vault(storage, [OLD]), 1_203)
    account = open_vault(storage, [OLD]).lookup("account", "915602")
    both = open_vault(storage, [NEW, OLD])
    seen: list[int] = []
    done = rekey(storage, both, seen.append)
    assert done.renewed == 1_203 + 3 + 1  # bindings, audit, one identity; the vault's own keys are renewed before
    assert seen[-1] == done.seen == done.renewed + 2 == count_sealed(storage)
    assert max(after - before for before, after in pairwise([0, *seen])) == 500
    alone = open_vault(storage, [NEW])
    _opens(storage, alone, keys)
    # Accounts are still found although the secret that first keyed their hashes is gone.
    assert alone.lookup("account", "915602") == account
    with pytest.raises(InvalidValue, match="replaced by `rekey`"):
        open_vault(storage, [OLD])
    again = rekey(storage, alone)
    assert (again.seen, again.renewed) == (done.seen, 0)


@pytest.mark.long
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 6])
def test_an_interrupted_rekey_is_completed_by_running_it_again(
    storage: Storage, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    keys = _fill(storage, open_vault(storage, [OLD]), 1_203)
    both = open_vault(storage, [NEW, OLD])
    step = rekey_module._step
    steps_run: list[Any] = []

    def cut(*args: Any) -> Any:
        if len(steps_run) == steps:
            raise KeyboardInterrupt
        steps_run.append(args)
        return step(*args)

    with monkeypatch.context() as patched:
        patched.setattr(rekey_module, "_step", cut)
        with pytest.raises(KeyboardInterrupt):
            rekey(storage, both)
    _opens(storage, both, keys)  # both still open everything
    done = rekey(storage, both)
    assert done.seen == count_sealed(storage)
    assert done.renewed < done.seen or steps == 1
    _opens(storage, open_vault(storage, [NEW]), keys)


def test_a_value_that_no_secret_opens_is_reported_and_nothing_is_lost(storage: Storage) -> None:
    keys = _fill(storage, open_vault(storage, [OLD]), 3)
    stranger = Vault([secrets.token_bytes(32)], "gateway")
    entry = {"at_ms": 1, "caller": "c", "role": "support", "action": "a", "subject": "s"}
    with storage.write() as connection:
        connection.execute(insert(schema.audit).values(**entry, reason_sealed=stranger.seal_text("why")))
    with pytest.raises(StorageUnavailable, match="is a vault secret missing"):
        rekey(storage, open_vault(storage, [NEW, OLD]))
    _opens(storage, open_vault(storage, [NEW, OLD]), keys)


def test_wrong_secrets_are_refused_before_a_lookup_key_is_stored(storage: Storage) -> None:
    _fill(storage, Vault([OLD], "gateway"), 1)
    with pytest.raises(VaultError):
        open_vault(storage, [NEW])
    with storage.read() as connection:
        assert connection.scalar(select(func.count()).select_from(schema.vault_keys)) == 0
    assert open_vault(storage, [OLD]).lookup("a", "b") == Vault([OLD], "gateway").lookup("a", "b")


def test_every_encrypted_column_is_found_by_its_name() -> None:
    found = {f"{column.table.name}.{column.name}" for column in sealed_columns()}
    assert found >= {
        "bindings.key_sealed",
        "audit.reason_sealed",
        "pending_bindings.identity_sealed",
        "vault_keys.key_sealed",
        "webhook_endpoints.url_sealed",
        "webhook_endpoints.secret_sealed",
        "webhook_endpoints.old_secret_sealed",
    }


@pytest.mark.long
def test_a_gateway_keeps_working_during_a_rekey_and_afterwards_with_the_new_secret_alone(tmp_path: Path) -> None:
    files = [tmp_path / "new", tmp_path / "old"]
    for file, secret in zip(files, (NEW, OLD), strict=True):
        file.write_text(secret.hex())
    folder = tmp_path / "rig"
    folder.mkdir()
    with rig(folder, vault_secret_files=files) as made:  # restarted with the new secret in front of the old one
        person = made.bound(daily_limit_minor=1_500)
        person.decide()
        gateway = made.app.state.gateway
        rekey(gateway.storage, open_vault(gateway.storage, [OLD, NEW]))  # the state before the restart
        with gateway.storage.write() as connection:  # in which nothing has been replaced
            connection.execute(delete(schema.vault_keys).where(schema.vault_keys.c.purpose != "lookup"))

        async def both() -> None:
            vault = open_vault(gateway.storage, [NEW, OLD])
            renewing = asyncio.to_thread(rekey, gateway.storage, vault)
            deciding = asyncio.to_thread(lambda: [person.decide(amount_minor=1) for _ in range(20)])
            done, decided = await asyncio.gather(renewing, deciding)
            assert done.renewed == done.seen - 2 >= 1  # the vault's own two keys were renewed before
            assert {answer["outcome"] for answer in decided} == {"approve"}

        asyncio.run(both())
        alone = open_vault(gateway.storage, [NEW])
        row = gateway.bindings._row(bytes.fromhex(person.binding[2:]))
        assert alone.unseal(row.key_sealed) == person.bank.key(row.binding)
        assert alone.lookup("account", f"{person.bank.bic}:{person.number}") == row.account


def test_the_command_re_encrypts_and_reports_the_number_of_values(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/gateway.sqlite3")
    migrate(database, "standing.gateway.storage")
    storage = Storage(database)
    keys = _fill(storage, open_vault(storage, [OLD]), 7)
    for name, secret in (("old", OLD), ("new", NEW)):
        (tmp_path / name).write_text(secret.hex())
    file = tmp_path / "gateway.toml"
    text = EXAMPLE.replace("/var/lib/standing/gateway.sqlite3", f"{tmp_path}/gateway.sqlite3")
    file.write_text(text.replace('["/etc/standing/gateway-secret"]', f'["{tmp_path}/new", "{tmp_path}/old"]'))
    runner = CliRunner()
    results = [runner.invoke(app, ["rekey", "--config", str(file)]) for _ in range(2)]
    assert [result.exit_code for result in results] == [0, 0]
    assert "11 of 13 values" in results[0].stdout
    assert "0 of 13 values" in results[1].stdout
    assert all(f"everything is encrypted under {tmp_path}/new now: keep it" in result.stdout for result in results)
    # The same is said where the order is wrong, and the secret that was to be destroyed is the only one in use.
    assert "if this secret was to be replaced, put the new one in front" in results[1].stdout
    assert "to be replaced" not in results[0].stdout
    _opens(storage, open_vault(storage, [NEW]), keys)
    storage.close()
    file.write_text(text.replace("/etc/standing/gateway-secret", f"{tmp_path}/old"))
    wrong = runner.invoke(app, ["rekey", "--config", str(file)])
    assert (wrong.exit_code, wrong.stderr) == (
        1,
        "error: vault secret: the first one was replaced by `rekey`; allowed: the newest one first\n",
    )


def _load(folder: Path, monkeypatch: pytest.MonkeyPatch, value: str | None, files: str = "[]") -> GatewaySettings:
    file = folder / "gateway.toml"
    file.write_text(EXAMPLE.replace('["/etc/standing/gateway-secret"]', files))
    if value is not None:
        monkeypatch.setenv("STANDING_GATEWAY_VAULT_SECRETS", value)
    return load(GatewaySettings, file)


def test_the_secrets_may_come_from_the_environment_and_are_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = _load(tmp_path, monkeypatch, f"{NEW.hex()},{OLD.hex()}")
    assert read_vault_secrets(settings) == [NEW, OLD]
    for shown in (repr(settings), str(settings), settings.model_dump_json()):
        assert NEW.hex() not in shown
    with pytest.raises(SettingsError, match="vault_secrets: not hexadecimal") as caught:
        read_vault_secrets(_load(tmp_path, monkeypatch, "not hexadecimal at all"))
    assert "at all" not in str(caught.value)


def test_the_secrets_come_from_one_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="exactly one of the two"):
        _load(tmp_path, monkeypatch, None)
    with pytest.raises(SettingsError, match="exactly one of the two"):
        _load(tmp_path, monkeypatch, NEW.hex(), '["/etc/standing/gateway-secret"]')


@pytest.mark.long
def test_a_stolen_database_reveals_nobody(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Every operation on personal data runs once; then the file, its log and all output are searched."""
    with rig(tmp_path) as made:
        persons = _live(made)
        keys = [made.banks[bic].key(binding) for bic in made.banks for binding in made.banks[bic].bindings]
        stored = b"".join(path.read_bytes() for path in sorted(tmp_path.glob("gateway.sqlite3*")))
    printed = capfd.readouterr()
    written = stored + (printed.out + printed.err).encode()
    assert b"u-1" in stored  # the right database was searched
    personal = ["欧阳", "司徒新名", "+8613900139000", "13900139000", "E99999999", "4711 王女士", *made.keys.values()]
    personal += [value for person in persons for name, value in person.claim.items() if name in _PERSONAL]
    assert len(personal) > 15
    for text in personal:
        for form in (text, text.casefold(), text.replace("+86", "")):
            assert form.encode() not in written, form
            assert json.dumps(form).encode()[1:-1] not in written, form
    assert not any(key in stored or key.hex().encode() in stored for key in keys)
    with pytest.raises(InvalidToken):  # and the sealed parts do not open with a guess
        Vault([OLD], "gateway")._fernet.decrypt(_some_sealed(tmp_path))


_PERSONAL = {"number", "holder_name", "id_document_number", "phone"}


def _live(made: Rig) -> list[Any]:
    bound, waiting, refused = made.bound(), made.person(), made.person()
    waiting.bank.deposit_minor = 12
    assert waiting.bind().json()["outcome"] == "micro_deposit"
    waiting.bank.deposit_minor = None
    refused.bind(holder_name="司徒新名")
    change = {"holder_name": "司徒新名", "phone": "+8613900139000", "reason": "工单 4711 王女士"}
    document = {"id_document_scheme": "CCPT", "id_document_country": "CN", "id_document_number": "E99999999"}
    for person in (bound, waiting):
        path = f"/v1/users/{person.user_id}/identity"
        assert made.support("PUT", path, json=change | document).status_code == 200
    bound.decide()
    answer = made.support(
        "POST",
        f"/v1/bindings/{bound.binding}/rebind",
        json={"request_id": "again-0001", "reason": "工单 4711 王女士", **bound.claim},
    )
    assert answer.status_code == 201
    made.platform("GET", f"/v1/users/{bound.user_id}/accounts")
    return [bound, waiting, refused]


def _some_sealed(folder: Path) -> bytes:
    database = Database(f"sqlite:///{folder}/gateway.sqlite3")
    with database.read() as connection:
        sealed: bytes = connection.scalars(select(schema.bindings.c.key_sealed)).first() or b""
    database.close()
    return sealed


def test_a_gateway_that_was_not_restarted_stores_nothing_under_the_replaced_secret(tmp_path: Path) -> None:
    """The old secret is destroyed after the rekey: a binding that was made meanwhile would never be decided again."""
    (tmp_path / "old").write_text(OLD.hex())
    with rig(tmp_path, vault_secret_files=[tmp_path / "old"]) as made:
        bound, other, waiting = made.bound(), made.person(), made.person()
        storage = made.app.state.gateway.storage
        assert made.nobody("GET", "/readyz").status_code == 200
        rekey(storage, open_vault(storage, [NEW, OLD]))
        waiting.bank.deposit_minor = 12
        refused = [
            waiting.bind(),
            made.support(
                "PUT", f"/v1/users/{bound.user_id}/identity", json={"phone": "+8613900139000", "reason": "new"}
            ),
            made.platform(
                "PUT", f"/v1/users/{bound.user_id}/identity", json={"phone": "+8613900139000", "reason": "new"}
            ),
            made.nobody("GET", "/readyz"),
        ]
        waiting.bank.deposit_minor = None
        refused.append(other.bind())
        assert [answer.status_code for answer in refused] == [503] * 5
        assert all("restart it with the new one" in answer.text for answer in refused)
        endpoints = made.app.state.gateway.following.endpoints
        with pytest.raises(StorageUnavailable, match="vault secret was replaced"):
            endpoints.create("https://hooks.example.com/", None)
        alone = open_vault(storage, [NEW])
        with storage.read() as connection:
            for column in sealed_columns():
                for (sealed,) in connection.execute(select(column).where(column.is_not(None))):
                    alone.unseal(sealed)


def test_secrets_in_the_wrong_order_are_noticed_once_rekey_has_begun(storage: Storage) -> None:
    """Such a gateway would go on encrypting under the secret that is destroyed afterwards."""
    _fill(storage, open_vault(storage, [OLD]), 3)
    running = open_vault(storage, [OLD, NEW])
    with storage.write() as connection:
        check_current(connection, running)  # nothing is replaced yet
    rekey(storage, open_vault(storage, [NEW, OLD]))
    with storage.write() as connection, pytest.raises(StorageUnavailable, match="with the new one in front"):
        check_current(connection, running)
    for wrong in ([OLD, NEW], [OLD]):
        with pytest.raises(InvalidValue, match="the newest one first"):
            open_vault(storage, wrong)
    right = open_vault(storage, [NEW, OLD])
    with storage.write() as connection:
        check_current(connection, right)


def test_every_route_that_needs_a_secret_that_the_gateway_lacks_asks_to_try_again(tmp_path: Path) -> None:
    """Of several gateways, one was not restarted before `rekey`: another one answers the same request."""
    (tmp_path / "old").write_text(OLD.hex())
    with rig(tmp_path, vault_secret_files=[tmp_path / "old"]) as made:
        person, waiting = made.bound(), made.person()
        waiting.bank.deposit_minor = 12
        assert waiting.bind().json()["outcome"] == "micro_deposit"
        gateway, admin = made.app.state.gateway, made.client("admin")
        admin.why = "Ticket 4711"
        assert admin("POST", "/v1/decisions", json=person.transaction()).status_code == 200
        hook = f"/v1/webhook-endpoints/{gateway.following.endpoints.create('https://hooks.example.com/', None).id}"
        rekey(gateway.storage, open_vault(gateway.storage, [NEW, OLD]))
        gateway.bindings._cache.clear()  # as for a binding that was not used since the start
        path, user = f"/v1/bindings/{person.binding}", f"/v1/users/{person.user_id}"
        amount = {"bank": waiting.bank.bic, "user_id": waiting.user_id, "amount_minor": 12}
        calls: list[tuple[Any, str, str, Any]] = [
            (made.platform, "POST", "/v1/decisions", person.transaction()),
            (made.platform, "GET", path, None),
            (made.platform, "GET", f"{user}/accounts", None),
            (made.platform, "GET", f"{user}/check-up", None),
            (made.support, "GET", f"{path}/trail", None),
            (admin, "GET", "/v1/audit", None),
            (admin, "POST", f"{hook}/enable", None),
            (admin, "POST", f"{hook}/rotate-secret", None),
            (made.platform, "POST", "/v1/bindings:confirm", {"request_id": f"bind-{waiting.user_id:0>8}", **amount}),
        ]
        for client, method, where, body in calls:
            for language, words in (("en", "vault secret"), ("zh", "数据")):
                answer = client(method, where, json=body, headers={"Accept-Language": language})
                found = (answer.status_code, answer.json()["type"], answer.headers.get("Retry-After"))
                assert found == (503, "urn:standing:problem:storage-unavailable", "30"), (where, answer.text)
                assert words in answer.json()["detail"], (where, answer.text)
        batch = made.platform("POST", "/v1/decisions:batch", json={"decisions": [person.transaction()]}).json()
        assert batch["answers"][0]["status"] == 503
        assert made.platform("GET", "/v1/bindings", params={"user_id": person.user_id}).status_code == 200
