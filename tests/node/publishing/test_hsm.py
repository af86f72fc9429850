"""A signer in a real software token, SoftHSM: the ledger accepts its signatures."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
import tomli_w
from typer.testing import CliRunner

from standing.ledger.attestations.publication import recover
from standing.ledger.chain import governance
from standing.ledger.service.settings import SettingsError, load
from standing.node.cli import app as command_line
from standing.node.composition import open_signer
from standing.node.publishing.settings import Pkcs11Settings
from standing.node.settings import NodeSettings
from tests.node.node_tools import settings_on_disk
from tests.world import ACCOUNT, BANK_ADMIN, World

pytest.importorskip("pkcs11", reason="the extra standing[pkcs11] is not installed")
from standing.node.publishing.hsm import _ORDER, Pkcs11Signer, TokenUnavailable, new_key

_MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")
_MODULE = next((module for module in _MODULES if Path(module).exists()), None)

pytestmark = pytest.mark.skipif(
    _MODULE is None or shutil.which("softhsm2-util") is None, reason="SoftHSM is missing: apt-get install softhsm2"
)


@pytest.fixture(scope="session")
def token(tmp_path_factory: pytest.TempPathFactory) -> Pkcs11Settings:
    """A fresh token with one key pair, shared by the process: the token's library keeps the first configuration that
    it reads, and a parallel test worker may enter this module twice."""
    folder = tmp_path_factory.mktemp("token")
    (folder / "tokens").mkdir()
    configuration = folder / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n")
    patch = pytest.MonkeyPatch()
    patch.setenv("SOFTHSM2_CONF", str(configuration))
    subprocess.run(
        ["softhsm2-util", "--init-token", "--free", "--label", "standing", "--pin", "1234", "--so-pin", "5678"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    (folder / "pin").write_text("1234\n")
    assert _MODULE is not None
    settings = Pkcs11Settings(module=Path(_MODULE), token_label="standing", key_label="signer", pin_file=folder / "pin")
    new_key(settings)
    return settings


@pytest.fixture
def signer(token: Pkcs11Settings) -> Iterator[Pkcs11Signer]:
    made = Pkcs11Signer(token)
    yield made
    made.close()


def test_a_token_signs_digests_so_that_the_address_is_recovered_with_low_s(signer: Pkcs11Signer) -> None:
    for seed in range(64):  # half of all raw signatures have a high s, and half of all v are 28
        digest = bytes([seed]) * 32
        signature = signer.sign(digest)
        assert len(signature) == 65
        assert recover(digest, signature) == signer.address
        assert int.from_bytes(signature[32:64]) <= _ORDER // 2


def test_the_ledger_and_platforms_accept_signatures_made_in_a_token(signer: Pkcs11Signer, a_world: World) -> None:
    bank = a_world.make_bank()
    governance.execute(a_world.client, governance.rotate_signer(bank.bic, signer.address), BANK_ADMIN)
    bank.secrets = replace(bank.secrets, signer=signer)
    with ExitStack() as stack:
        bank.start(stack)
        bank.change(ACCOUNT)
        grant = bank.bind().json()["grant"]
        as_of_ms = bank.change({"number": ACCOUNT["number"], "status": "frozen"})
    assert a_world.client.bank(bank.bic).watermark_ms == as_of_ms
    record = a_world.client.read([(bank.bic, bytes.fromhex(grant["binding"][2:]))]).records[0]
    assert record.publication > 0


def test_a_missing_token_is_an_outage_and_not_a_settings_error(
    signer: Pkcs11Signer, token: Pkcs11Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = b"\1" * 32
    signer._session.close()
    with monkeypatch.context() as patch:
        patch.setattr(signer, "_settings", token.model_copy(update={"token_label": "pulled out"}))
        for _ in range(2):
            with pytest.raises(TokenUnavailable, match="no token with the label"):
                signer.sign(digest)
    assert recover(digest, signer.sign(digest)) == signer.address


def test_a_wrong_pin_token_or_label_is_reported_without_the_pin(token: Pkcs11Settings, tmp_path: Path) -> None:
    (tmp_path / "pin").write_text("9999")
    wrong = [
        token.model_copy(update={"pin_file": tmp_path / "pin"}),
        token.model_copy(update={"token_label": "nothing"}),
        token.model_copy(update={"key_label": "nothing"}),
        token.model_copy(update={"module": tmp_path / "pin"}),
    ]
    for settings in wrong:
        with pytest.raises(SettingsError) as caught:
            Pkcs11Signer(settings)
        assert "9999" not in str(caught.value)


def test_a_key_is_never_made_twice_under_one_label(token: Pkcs11Settings) -> None:
    with pytest.raises(SettingsError, match="already"):
        new_key(token)


def test_a_node_without_the_pkcs11_extra_says_what_to_install(
    token: Pkcs11Settings, a_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_on_disk(a_world.make_bank(), tmp_path)
    del settings["signer_keystore"], settings["signer_password_file"]
    config = tmp_path / "node.toml"
    config.write_text(tomli_w.dumps(settings | {"signer_pkcs11": token.model_dump(mode="json")}))
    monkeypatch.setitem(sys.modules, "standing.node.publishing.hsm", None)
    result = CliRunner().invoke(command_line, ["hsm", "new-key", "-c", str(config)])
    assert (result.exit_code, "pip install 'standing[pkcs11]'" in result.output) == (1, True), result.output
    with pytest.raises(SettingsError, match="pip install"):
        open_signer(load(NodeSettings, config))
