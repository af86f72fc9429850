"""`standing-network example`, `key` and `make`."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer
from eth_keys.datatypes import PrivateKey

from standing.ledger.consortium import besu, operations
from standing.ledger.consortium.plan import EXAMPLE, Plan, PlanRefused, parse_plan
from standing.ledger.service.commands import one_line_errors, print_file, say, tell
from standing.ledger.service.files import new_folder
from standing.ledger.service.private_files import write_private
from standing.ledger.service.settings import parse_toml, read_settings_text


def example() -> None:
    """Print a plan with comments."""
    print_file(EXAMPLE)


def key(file: Annotated[Path, typer.Argument(help="A new file; only you can read it")]) -> None:
    """Make the key of this member's node. Give the other members only the public key that it prints."""
    with one_line_errors():
        made = PrivateKey(os.urandom(32))
        write_private(file, made.to_bytes().hex() + "\n")
        say(f'node_key = "{made.public_key.to_bytes().hex()}"')
        tell(f"validator address {made.public_key.to_checksum_address()}")


def make(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="The plan, as `example` shows one")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder, or an empty one")],
) -> None:
    """Write the network's files: genesis, permissions, and a folder for each member. Two runs write the same."""
    with one_line_errors():
        planned = parse_plan(_read(plan))
        with new_folder(folder) as made:
            for name, text in files(planned).items():
                path = made / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
        tell(f"wrote {folder}: {len(planned.members)} members, {len(planned.validators)} of them validators")
        tell(f"of these {(len(planned.validators) - 1) // 3} may fail; give each member its folder and `genesis.json`")
        if mute := [member.name for member in planned.members if member.bank and not member.accounts]:
            tell(f"the ledger will refuse all transactions of banks without `accounts`: {', '.join(mute)}")


def _read(file: Path) -> dict[str, object]:
    try:
        return parse_toml(read_settings_text(file))
    except ValueError as error:
        raise PlanRefused(f"{file}: {error}") from error


def files(plan: Plan) -> dict[str, str]:
    """Every file of the network, by its path."""
    genesis = json.dumps(besu.genesis(plan), indent=2) + "\n"
    made = {"genesis.json": genesis}
    for member in plan.members:
        own = {
            "genesis.json": genesis,
            "besu.toml": besu.configuration(member),
            "permissions.toml": besu.permissions(plan),
            "static-nodes.json": besu.static_nodes(plan, member),
            "compose.yaml": operations.compose(member),
            "prometheus/prometheus.yml": operations.prometheus(member),
            "prometheus/rules.yml": operations.rules(member),
            "dashboard.json": operations.dashboard(member),
            "NEXT-STEPS.md": operations.next_steps(member),
            **{f"systemd/{name}": text for name, text in operations.units(member).items()},
        }
        made |= {f"members/{member.name}/{name}": text for name, text in own.items()}
    return made
