"""`standing-gateway verify` and `prove`, for anyone who holds a piece of evidence.

Neither needs a gateway's settings.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from pydantic import ValidationError
from rich.markup import escape

from standing.gateway.decisions.policy_file import load_policy
from standing.gateway.evidence.verification.case import VerifierInputs, parse_evidence
from standing.gateway.evidence.verification.lines import Verdict
from standing.gateway.evidence.verification.proof import questions, read_claims
from standing.gateway.evidence.verification.run import Report, verify, verify_offline
from standing.ledger.attestations.binding_protocol import GrantDocument, KeylessGrantDocument
from standing.ledger.attestations.grant import Grant, KeylessGrant
from standing.ledger.chain.client import LedgerClient
from standing.ledger.chain.connection import parse_address
from standing.ledger.errors import InvalidValue
from standing.ledger.service.command_language import in_language, label
from standing.ledger.service.commands import console, one_line_errors, print_json, tell, wide
from standing.ledger.service.files import write_over

_EXIT = {Verdict.HOLDS: 0, Verdict.FAILS: 1, Verdict.UNKNOWN: 2}
_COLOUR = {Verdict.HOLDS: "green", Verdict.FAILS: "red", Verdict.UNKNOWN: "yellow"}
_TIMEOUT_S = 30.0
#: A key itself. A file's name may have as many characters.
_KEY = re.compile("(0x)?[0-9A-Fa-f]{64}")

EvidenceFile = Annotated[Path, typer.Argument(help="A decision as answered, an exported case, or a JWS alone")]


def verify_command(
    evidence: EvidenceFile,
    contract: Annotated[str, typer.Option(help="Address of the StatusLedger contract that you rely on")],
    gateway_key: Annotated[
        str, typer.Option(help="The gateway's public key: a JWK or JWK set, or a file that holds it")
    ],
    ledger: Annotated[
        str | None, typer.Option(help="URL of a ledger node that still has the state of that block")
    ] = None,
    binding_key: Annotated[
        str | None,
        typer.Option(
            envvar="STANDING_BINDING_KEY",
            help="The binding's key, which decrypts the terms: 64 hexadecimal digits, or a file with them",
        ),
    ] = None,
    grant: Annotated[
        Path | None, typer.Option(help="The bank's grant (JSON), which proves that the key is the right one")
    ] = None,
    policy: Annotated[
        Path | None, typer.Option(help="The platform's policy file, of the version named in the evidence")
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Verify with the storage proof in the evidence; needs --header")
    ] = False,
    header: Annotated[Path | None, typer.Option(help="The block, as returned by eth_getBlockByNumber")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON")] = False,
) -> None:
    """Check a decision's evidence, line by line, without the gateway.

    Exit code 0: everything is valid. 1: something is invalid. 2: nothing is invalid, but not everything was checked.
    """
    with one_line_errors():
        given = parse_evidence(_read(evidence, "evidence"))
        handed = _handed_over(given.beside)
        means = VerifierInputs(
            gateway_key=jwk(gateway_key),
            contract=parse_address(contract, "contract"),
            binding_key=_binding_key(binding_key) if binding_key is not None else handed.key,
            grant=_grant(_read(grant, "grant")) if grant is not None else handed.grant,
            policy=load_policy(policy) if policy is not None else None,
        )
        if offline:
            if header is None:
                raise InvalidValue("header", "missing", "with --offline: a file with the block's header")
            report = verify_offline(given, means, _document(_read(header, "header"), "header"))
        elif ledger is None:
            raise InvalidValue("ledger", "missing", "the URL of a ledger node, or --offline with --header")
        else:
            report = verify(given, means, LedgerClient(ledger, contract, timeout_s=_TIMEOUT_S))
    _show(report, as_json)
    raise typer.Exit(_EXIT[report.verdict])


def prove_command(
    evidence: EvidenceFile,
    ledger: Annotated[str, typer.Option(help="URL of a ledger node that offers eth_getProof")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write the evidence with its proof")],
) -> None:
    """Add a storage proof to evidence, so that it can be verified offline. Run it before nodes prune the state."""
    with one_line_errors():
        given = parse_evidence(_read(evidence, "evidence"))
        claims = read_claims(given.jws)
        client = LedgerClient(ledger, claims.contract, timeout_s=_TIMEOUT_S)
        document: dict[str, Any] = {"evidence": given.jws}
        for name, (method, params) in questions(claims).items():
            document[name] = client.raw(method, params)
        try:
            write_over(output, json.dumps(document, indent=1) + "\n")
        except OSError as error:
            raise InvalidValue("output", f"{output}: {error.strerror}", "a file that can be written") from error
    tell(f"wrote {output}")


def _show(report: Report, as_json: bool) -> None:
    if as_json:
        document = {
            "verdict": report.verdict,
            "checks": [
                {"number": line.number, "check": line.check, "verdict": line.verdict, "text": line.text}
                for line in report.lines
            ],
            "cause": None
            if report.cause is None
            else {
                "who": report.cause.who,
                "changed_at_ms": report.cause.changed_at_ms,
                "published_at_ms": report.cause.published_at_ms,
                "decided_at_ms": report.cause.decided_at_ms,
            },
        }
        print_json(document)
        return
    for line in report.lines:
        console.print(
            f"{line.number:>2} {_row(line.check, line.verdict)} {escape(in_language(line.text))}",
            highlight=False,
            soft_wrap=True,
        )
    console.print(f"   {_row('evidence', report.verdict)}", highlight=False)


def _row(check: str, verdict: Verdict) -> str:
    return f"{wide(label(check), 15)}[{_COLOUR[verdict]}]{wide(label(verdict), 8)}[/]"


def _read(file: Path, field: str) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InvalidValue(field, f"{file}: {error.strerror}", "a file that can be read") from error


def _document(raw: bytes, field: str) -> dict[str, Any]:
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise InvalidValue(field, "not JSON", "a JSON object") from error
    # A whole JSON-RPC answer, as a node gave it, works as well.
    inner = document.get("result", document) if isinstance(document, dict) else None
    if not isinstance(inner, dict):
        raise InvalidValue(field, "not an object", "a JSON object")
    return inner


def jwk(text: str) -> dict[str, Any]:
    """A public key as a JWK, or a JWK set, from its own text or a file that holds it. Raises: InvalidValue."""
    return _document(
        text.encode() if text.lstrip().startswith("{") else _read(Path(text), "gateway-key"), "gateway-key"
    )


def _binding_key(text: str) -> bytes:
    """The key that the verifier gives, itself or as the name of a file."""
    if _KEY.fullmatch(text) is None and _is_file(text):
        return _key(_read(Path(text), "binding-key").decode(errors="replace").strip())
    return _key(text)


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except (OSError, ValueError):  # too long for a name, or with a NUL
        return False


def _key(text: str) -> bytes:
    try:
        key = bytes.fromhex(text.removeprefix("0x"))
    except ValueError as error:
        raise InvalidValue("binding-key", "not hexadecimal", "64 hexadecimal digits, or a file with them") from error
    if len(key) != 32:
        raise InvalidValue("binding-key", f"{len(key)} bytes", "32 bytes in hexadecimal, or a file with them")
    return key


class _HandedOver(NamedTuple):
    """The key and the grant of an exported case. Neither is trusted: checks 9 and 10 verify both."""

    key: bytes | None
    grant: Grant | KeylessGrant | None


def _handed_over(beside: Mapping[str, Any]) -> _HandedOver:
    key, grant = beside.get("binding_key"), beside.get("grant")
    return _HandedOver(
        _key(key) if isinstance(key, str) else None,  # never a file: the case comes from another party
        _grant(json.dumps(grant).encode()) if grant is not None else None,
    )


def _grant(raw: bytes) -> Grant | KeylessGrant:
    """A grant as the bank's node returned it, or without its key, as exported. Raises: InvalidValue."""
    kind = GrantDocument if "binding_key" in _document(raw, "grant") else KeylessGrantDocument
    try:
        return kind.model_validate_json(raw).grant()
    except ValidationError as error:
        raise InvalidValue("grant", "not a grant", "JSON as the bank's node answered it") from error
