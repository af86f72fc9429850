"""`standing-network make`: the files of a network, checked with independent implementations where available."""

import json
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomlkit
import yaml
from eth_keys.datatypes import PrivateKey
from typer.testing import CliRunner

from standing.ledger.consortium.besu import extra_data, genesis
from standing.ledger.consortium.cli import app
from standing.ledger.consortium.operations import units
from standing.ledger.consortium.plan import EXAMPLE, Member, PlanRefused, parse_plan
from tests.contracts.npm_packages import FOLDER, NpmMissing, install


def _key(index: int) -> PrivateKey:
    return PrivateKey(bytes([index]) * 32)


def plan_of(validators: int = 4, **changed: Any) -> dict[str, Any]:
    """A plan with validators at banks, and one platform that observes."""
    members: list[dict[str, Any]] = [
        {
            "name": f"bank-{index}",
            "bank": f"AB{chr(65 + index)}DCNB0",
            "host": f"10.0.0.{index}",
            "node_key": _key(index).public_key.to_bytes().hex(),
            "validator": True,
            "accounts": [_key(100 + index).public_key.to_checksum_address()],
        }
        for index in range(1, validators + 1)
    ]
    members.append(
        {
            "name": "jinqiao-pay",
            "platform": "jinqiao-pay",
            "host": "10.0.1.1",
            "node_key": _key(99).public_key.to_bytes().hex(),
            "validator": False,
        }
    )
    roles = {
        name: _key(200 + at).public_key.to_checksum_address()
        for at, name in enumerate(("registrar", "guardian", "governor"))
    }
    return {"chain_id": 20_261, "members": members, **roles} | changed


def _written(tmp_path: Path, plan: dict[str, Any]) -> Path:
    file, folder = tmp_path / "plan.json.toml", tmp_path / "network"
    file.write_text(tomlkit.dumps(plan))
    made = CliRunner().invoke(app, ["make", str(file), str(folder)])
    assert made.exit_code == 0, made.output
    return folder


def test_extra_data_for_four_validators_matches_besus_documentation() -> None:
    addresses = [
        "0x64a702e6263b7297a96638cac6ae65e6541f4169",
        "0xc7eeb9a4e00ce683cf93039b212648e01c6c6b78",
        "0x3923390ad55e90c237593b3b0e401f3b08a03185",
        "0xaefdb9a738c9f433e5b6b212a6d62f6370c2f692",
    ]
    head = "0xf87aa0" + "00" * 32
    encoded = extra_data(addresses)
    assert encoded.startswith(head + "f85494")
    assert encoded.endswith("c080c0")
    assert [encoded[len(head) + 4 :][at : at + 42] for at in range(0, 168, 42)] == [
        f"94{each[2:]}" for each in sorted(addresses)
    ]


@pytest.mark.npm
def test_ethers_reads_the_validators_from_the_genesis_block(tmp_path: Path) -> None:
    try:
        install()
    except NpmMissing as missing:
        pytest.skip(str(missing))
    common = json.loads((_written(tmp_path, plan_of(7)) / "genesis.json").read_text())
    script = "import {decodeRlp} from 'ethers'; console.log(JSON.stringify(decodeRlp(process.argv[1])))"
    ended = subprocess.run(
        ["node", "--input-type=module", "-e", script, common["extraData"]],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        check=True,
    )
    vanity, validators, vote, current_round, seals = json.loads(ended.stdout)
    expected = sorted(_key(index).public_key.to_address() for index in range(1, 8))
    assert (vanity, validators, vote, current_round, seals) == ("0x" + "00" * 32, expected, [], "0x", [])


@pytest.mark.parametrize(("block_period_s", "timeout_s"), [(1, 2), (3, 6)])
def test_a_round_lasts_twice_the_block_period(block_period_s: int, timeout_s: int) -> None:
    qbft = genesis(parse_plan(plan_of(block_period_s=block_period_s)))["config"]["qbft"]
    assert (qbft["blockperiodseconds"], qbft["requesttimeoutseconds"]) == (block_period_s, timeout_s)


def _check_that_only_besu_listens_outside(services: dict[str, Any]) -> None:
    assert {(each["network_mode"], each["restart"]) for each in services.values()} == {("host", "unless-stopped")}
    assert "listen_addresses=127.0.0.1" in services["postgresql"]["command"]
    assert "--web.listen-address=127.0.0.1:9090" in services["prometheus"]["command"]
    assert services["standing"]["depends_on"]["postgresql"] == {"condition": "service_healthy"}


def test_every_member_gets_a_complete_folder_for_one_common_network(tmp_path: Path) -> None:
    plan = plan_of()
    plan["members"][-1]["p2p_port"] = 30_304
    folder = _written(tmp_path, plan)
    common = json.loads((folder / "genesis.json").read_text())
    assert bytes.fromhex(common["mixHash"][2:]) == b"ctical byzantine fault tolerance", "the mark of QBFT"
    assert (common["config"]["chainId"], common["config"]["zeroBaseFee"], common["alloc"]) == (20_261, True, {})
    assert int(common["gasLimit"], 16) == 100_000_000
    # The contract is compiled for Cancun: a chain without it would refuse the deployment.
    forks = {name: at for name, at in common["config"].items() if name.endswith(("Block", "Time"))}
    assert forks == dict.fromkeys(("berlinBlock", "londonBlock", "shanghaiTime", "cancunTime"), 0)
    members = sorted(path.name for path in (folder / "members").iterdir())
    assert members == ["bank-1", "bank-2", "bank-3", "bank-4", "jinqiao-pay"]
    everybody = {f"enode://{_key(index).public_key.to_bytes().hex()}@10.0.0.{index}:30303" for index in range(1, 5)}
    observer = f"enode://{_key(99).public_key.to_bytes().hex()}@10.0.1.1:30304"
    for name in members:
        own = folder / "members" / name
        assert (own / "genesis.json").read_text() == (folder / "genesis.json").read_text()
        permissions = tomllib.loads((own / "permissions.toml").read_text())
        assert set(permissions["nodes-allowlist"]) == everybody | {observer}
        assert len(permissions["accounts-allowlist"]) == 3 + 4
        configuration = tomllib.loads((own / "besu.toml").read_text())
        assert configuration["min-gas-price"] == 0
        assert {configuration["rpc-http-host"], configuration["metrics-host"]} == {"127.0.0.1"}
        assert f"@{configuration['p2p-host']}:{configuration['p2p-port']}" in str(everybody | {observer})
        assert configuration["rpc-http-enabled"]
        assert configuration["metrics-enabled"]
        assert "*" not in configuration["host-allowlist"], "any page in a browser on the machine could call it"
        # Evidence of an old decision is proved by the state of its block.
        assert (configuration["sync-mode"], configuration["data-storage-format"]) == ("FULL", "FOREST")
        # Anybody could connect, or send transactions, which cost nothing.
        assert not configuration["discovery-enabled"]
        for what in ("nodes", "accounts"):
            assert configuration[f"permissions-{what}-config-file-enabled"] is True
        assert configuration["rpc-max-logs-range"] == 0, "Besu's own limit would make searches of the whole ledger slow"
        assert len(json.loads((own / "static-nodes.json").read_text())) == len(members) - 1
        compose = yaml.safe_load((own / "compose.yaml").read_text())
        assert set(compose["services"]) == {"besu", "postgresql", "standing", "prometheus"}
        assert "password" not in str(compose["services"]).lower().replace("postgres_password_file", "")
        _check_that_only_besu_listens_outside(compose["services"])
        assert json.loads((own / "dashboard.json").read_text())["panels"]
    votes = {
        name: "QBFT" in tomllib.loads((folder / "members" / name / "besu.toml").read_text())["rpc-http-api"]
        for name in ("bank-1", "jinqiao-pay")
    }
    assert votes == {"bank-1": True, "jinqiao-pay": False}


def test_a_members_next_steps_say_where_its_units_go_and_how_to_build_the_image_that_it_starts(tmp_path: Path) -> None:
    """Nothing else installs the units, and no registry has the image."""
    own = _written(tmp_path, plan_of()) / "members" / "bank-1"
    steps = (own / "NEXT-STEPS.md").read_text()
    page = (Path(__file__).parents[3] / "docs" / "CONSORTIUM.md").read_text()
    assert "copy `systemd/` to `/etc/systemd/system`" in steps
    image = yaml.safe_load((own / "compose.yaml").read_text())["services"]["standing"]["image"]
    assert f"docker build --tag {image} " in page
    assert "chown -R 10001: /etc/standing/node" in steps
    assert "useradd --uid 10001 standing" in page
    assert "standing-node init /etc/standing/node --bic ABBDCNB0 " in steps
    assert "If there is `node/` already" in steps, "its keys are the plan's accounts"
    others = (own.parent / "jinqiao-pay" / "NEXT-STEPS.md").read_text()
    assert "standing-gateway init /etc/standing/gateway --platform jinqiao-pay " in others
    assert "already" not in others


def test_the_same_plan_gives_the_same_files_and_no_folder_is_overwritten(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one, two = _written(tmp_path / "one", plan_of()), _written(tmp_path / "two", plan_of())
    texts = [
        {path.relative_to(each): path.read_text() for path in each.rglob("*") if path.is_file()} for each in (one, two)
    ]
    assert texts[0] == texts[1]
    again = CliRunner().invoke(app, ["make", str(tmp_path / "one" / "plan.json.toml"), str(one)])
    assert (again.exit_code, "not overwritten" in again.output) == (1, True)


def test_a_member_that_joins_later_changes_only_the_peers_and_permissions_of_the_others(tmp_path: Path) -> None:
    """With another genesis block the members' nodes would belong to another ledger."""
    for name in ("before", "after"):
        (tmp_path / name).mkdir()
    before, plan = _written(tmp_path / "before", plan_of()), plan_of()
    joins = {"name": "bank-9", "bank": "ABZDCNB0", "host": "10.0.0.9", "validator": False}
    keys = {"node_key": _key(98).public_key.to_bytes().hex(), "accounts": [_key(97).public_key.to_checksum_address()]}
    plan["members"].append(joins | keys)
    after = _written(tmp_path / "after", plan)
    files = [path.relative_to(before) for path in before.rglob("*") if path.is_file()]
    changed = {path.name for path in files if (before / path).read_bytes() != (after / path).read_bytes()}
    assert changed == {"permissions.toml", "static-nodes.json"}


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        pytest.param(lambda plan: plan["members"].pop(0), "3 validators; allowed: 4 or more", id="too few validators"),
        pytest.param(lambda plan: plan["members"][0].update(node_key="ab"), "128 hexadecimal digits", id="not a key"),
        pytest.param(
            lambda plan: plan["members"][0].update(node_key=plan["members"][1]["node_key"]),
            "is listed twice",
            id="one key twice",
        ),
        pytest.param(lambda plan: plan["members"][0].update(name="bank-2"), "is listed twice", id="one name twice"),
        pytest.param(
            lambda plan: plan["members"][0].update(bank=plan["members"][1]["bank"]),
            "bank: .* is listed twice",
            id="one bank twice",
        ),
        pytest.param(
            lambda plan: plan["members"][0].update(bank=None, platform="jinqiao-pay"),
            "platform: .* is listed twice",
            id="one platform twice",
        ),
        pytest.param(lambda plan: plan["members"][0].update(bank="X"), "BIC", id="not a BIC"),
        pytest.param(lambda plan: plan["members"][0].update(platform="p"), "either bank or platform", id="both"),
        pytest.param(lambda plan: plan["members"][0].update(host="bank.example"), "host", id="a name for an address"),
        pytest.param(lambda plan: plan["members"][0].update(host="10.0.0.256"), "host", id="an impossible address"),
        pytest.param(lambda plan: plan["members"][0].update(host="0.0.0.0"), "no machine has", id="where it listens"),
        pytest.param(lambda plan: plan["members"][0].update(host="224.0.0.1"), "no machine has", id="a group"),
        pytest.param(lambda plan: plan.update(registrar="0x12"), "address", id="not an address"),
        pytest.param(lambda plan: plan.update(chain_id=0), "chain_id", id="chain id 0"),
        pytest.param(lambda plan: plan.update(colour="red"), "colour", id="an unknown setting"),
    ],
)
def test_an_invalid_plan_is_refused_with_what_is_allowed(spoil: Any, error: str) -> None:
    plan = plan_of()
    spoil(plan)
    with pytest.raises(PlanRefused, match=error):
        parse_plan(plan)


def test_banks_that_could_send_nothing_are_named(tmp_path: Path) -> None:
    """They would publish nothing: a Besu node refuses the transactions of accounts that it does not know."""
    plan = plan_of()
    for member in plan["members"][1:3]:
        del member["accounts"]
    (file := tmp_path / "plan.toml").write_text(tomlkit.dumps(plan))
    made = CliRunner().invoke(app, ["make", str(file), str(tmp_path / "network")])
    assert made.exit_code == 0
    assert "the ledger will refuse all transactions of banks without `accounts`: bank-2, bank-3\n" in made.output
    file.write_text(tomlkit.dumps(plan_of()))
    whole = CliRunner().invoke(app, ["make", str(file), str(tmp_path / "another")])
    assert "without" not in whole.output


def test_a_plan_that_is_not_utf_8_is_refused_in_words(tmp_path: Path) -> None:
    (file := tmp_path / "plan.toml").write_bytes("# 联盟".encode("gbk"))
    refused = CliRunner().invoke(app, ["make", str(file), str(tmp_path / "network")])
    assert (refused.exit_code, refused.stderr) == (1, f"error: {file}: not UTF-8; allowed: TOML in UTF-8\n")


def test_a_nodes_key_stays_in_its_file_and_only_the_public_key_is_printed(tmp_path: Path) -> None:
    file = tmp_path / "node.key"
    printed = CliRunner().invoke(app, ["key", str(file)])
    private = file.read_text().strip()
    made = PrivateKey(bytes.fromhex(private))
    assert made.public_key.to_bytes().hex() in printed.output.replace("\n", "")
    assert made.public_key.to_checksum_address() in printed.output
    assert private not in printed.output
    assert file.stat().st_mode & 0o077 == 0


def test_the_example_is_a_valid_plan_once_members_fill_in_their_parts(tmp_path: Path) -> None:
    stated = tomllib.loads(EXAMPLE)
    with pytest.raises(PlanRefused) as refused:
        parse_plan(stated)
    asked = {line.partition(":")[0] for line in str(refused.value).splitlines()}
    # The roles too: with accounts that nobody has, nobody could deploy the contract or admit a bank.
    roles = {"registrar", "guardian", "governor"}
    of_members = {f"members.{at}.node_key" for at in range(5)} | {f"members.{at}.accounts.0" for at in range(4)}
    assert asked == roles | of_members
    stated |= {name: plan_of()[name] for name in roles}
    for at, member in enumerate(stated["members"], 1):
        member["node_key"] = _key(at).public_key.to_bytes().hex()
        if "accounts" in member:
            member["accounts"] = [_key(100 + at).public_key.to_checksum_address()]
    made = _written(tmp_path, stated)
    assert sorted(folder.name for folder in (made / "members").iterdir()) == sorted(
        member["name"] for member in stated["members"]
    )


@pytest.mark.parametrize("kind", ["bank", "platform"])
def test_systemd_accepts_the_units(tmp_path: Path, kind: str) -> None:
    analyze = Path("/usr/bin/systemd-analyze")
    if not analyze.exists():
        pytest.skip("systemd-analyze is missing: apt-get install systemd")
    stated = next(member for member in plan_of()["members"] if kind in member)
    files = units(Member.model_validate(stated), prefix=str(tmp_path))
    for program in ("besu/bin/besu", "standing/bin/standing-node", "standing/bin/standing-gateway"):
        (tmp_path / program).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / program).write_text("#!/bin/sh\n")
        (tmp_path / program).chmod(0o755)
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    verified = subprocess.run(
        [analyze, "verify", "--man=no", *(tmp_path / name for name in files)],
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in verified.stderr.splitlines() if any(name in line for name in files)]
    assert (verified.returncode, ours) == (0, []), verified.stderr
