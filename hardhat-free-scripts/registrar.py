"""The registrar as a multisig: a Safe of the members, and steps that enough of them sign (docs/CONSORTIUM.md).

    registrar.py make --owner 0x… --owner 0x… --owner 0x… --threshold 2 --ledger URL --keystore FILE --password-file …
    registrar.py admit BIC --signer 0x… --admin 0x… --ledger URL --contract 0x… --safe 0x… --output proposal.json
        (with --number N --head 0x… for a bank whose history goes on from another deployment)
    registrar.py reinstate BIC --signer 0x… --admin 0x… --ledger URL --contract 0x… --safe 0x… --output proposal.json
    registrar.py sign proposal.json --keystore FILE --password-file FILE      (each member, on its own machine)
    registrar.py send proposal.json --ledger URL --keystore FILE --password-file FILE

`make` prints the Safe's address: name it as the registrar when you deploy the ledger (`standing-node ledger deploy
--registrar`), or let the governor grant it the role. Keystores are those of `standing-node keystore new`.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from safe_multisig import Proposal, Safe, SafeMissing, deploy, parse_proposal
from standing.ledger.chain import governance
from standing.ledger.chain.connection import parse_address, parse_digest
from standing.ledger.errors import InvalidValue, StandingError
from standing.ledger.service.settings import SettingsError
from standing.node.publishing.keys import load_private_key

_MAX_CHARS = 100_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0 on success, 1 with one line that says why not."""
    stated = _parser().parse_args(arguments)
    try:
        stated.run(stated)
    except (StandingError, SettingsError, SafeMissing, OSError) as error:
        print(f"{stated.command}: {error}", file=sys.stderr)
        return 1
    return 0


def _make(stated: argparse.Namespace) -> None:
    owners = [parse_address(owner, "owner") for owner in stated.owner]
    print(deploy(stated.ledger, _key(stated), owners, stated.threshold))


def _propose(stated: argparse.Namespace) -> None:
    safe = Safe(stated.ledger, parse_address(stated.contract, "contract"), parse_address(stated.safe, "safe"))
    signer, admin = parse_address(stated.signer, "signer"), parse_address(stated.admin, "admin")
    if stated.command == "admit":
        head = parse_digest(stated.head, "head")
        step = governance.admit(stated.bic, signer, admin, number=stated.number, head=head)
    else:
        step = governance.reinstate(stated.bic, signer, admin)
    proposal = safe.propose(step)
    with stated.output.open("x", encoding="utf-8") as file:
        file.write(proposal.as_text())
    _say(f"proposes {proposal.step}; {safe.threshold} of {len(safe.owners)} owners have to sign {stated.output}")


def _sign(stated: argparse.Namespace) -> None:
    proposal = _read(stated.proposal)
    _say(f"signs {proposal.step} of the ledger {proposal.ledger} on chain {proposal.chain_id}")
    signed = proposal.signed(_key(stated))
    stated.proposal.write_text(signed.as_text(), encoding="utf-8")
    _say(f"{len(signed.signatures)} signed: {', '.join(signed.signatures)}")


def _send(stated: argparse.Namespace) -> None:
    proposal = _read(stated.proposal)
    transaction = Safe(stated.ledger, proposal.ledger, proposal.safe).send(proposal, _key(stated))
    _say(f"{proposal.step} is in a block, by transaction 0x{transaction.hex()}")


def _read(file: Path) -> Proposal:
    text = file.read_text(encoding="utf-8", errors="replace")
    if len(text) > _MAX_CHARS:
        raise InvalidValue("proposal", f"longer than {_MAX_CHARS} characters", "a file that this script wrote")
    return parse_proposal(text)


def _key(stated: argparse.Namespace) -> bytes:
    return load_private_key(stated.keystore, stated.password_file, "caller")


def _say(text: str) -> None:
    print(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("make", help="deploy a Safe of the members")
    make.add_argument("--owner", action="append", required=True, help="a member's address; several")
    make.add_argument("--threshold", type=int, default=2, help="how many of them have to sign")
    make.set_defaults(run=_make)
    for name in ("admit", "reinstate"):
        step = commands.add_parser(name, help=f"propose to {name} a bank")
        step.add_argument("bic")
        for option in ("signer", "admin", "contract", "safe"):
            step.add_argument(f"--{option}", required=True, help="an address")
        step.add_argument("--output", type=Path, required=True, help="a new file")
        step.set_defaults(run=_propose)
    admit = commands.choices["admit"]
    admit.add_argument("--number", type=int, default=0, help="the last publication of the history to go on from")
    admit.add_argument("--head", default="0x" + "00" * 32, help="its digest; zeros, with the number 0, for a new bank")
    sign = commands.add_parser("sign", help="sign a proposal, after reading what it does")
    sign.set_defaults(run=_sign)
    send = commands.add_parser("send", help="send a proposal that enough owners have signed")
    send.set_defaults(run=_send)
    for command in (sign, send):
        command.add_argument("proposal", type=Path)
    for command in (make, sign, send):
        command.add_argument("--keystore", type=Path, required=True)
        command.add_argument("--password-file", type=Path, required=True)
    for name in ("make", "admit", "reinstate", "send"):
        commands.choices[name].add_argument("--ledger", required=True, help="URL of a ledger node")
    return parser


if __name__ == "__main__":
    sys.exit(main())
