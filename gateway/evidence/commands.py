"""`standing-gateway evidence export`: a case handed over from a running gateway."""

import re
from pathlib import Path
from typing import Annotated

import typer

from standing.gateway.access.commands import KEY_VARIABLE
from standing.gateway.evidence.schemas import CaseFile
from standing.ledger.errors import InvalidValue
from standing.ledger.service.client_command import call_service, key_from
from standing.ledger.service.command_language import in_language
from standing.ledger.service.commands import one_line_errors, tell
from standing.ledger.service.private_files import write_private

_TIMEOUT_S = 30.0

evidence = typer.Typer(help="A decision's evidence.", no_args_is_help=True)


@evidence.callback()  # without a callback, a single command would lose its name
def evidence_group() -> None:
    """A decision's evidence."""


@evidence.command("export")
def export_command(
    transaction: Annotated[str, typer.Argument(help="The decision's transaction id")],
    reason: Annotated[str, typer.Option(help="The reason; kept in the audit")],
    output: Annotated[Path, typer.Option("--output", "-o", help="A new file; only you can read it")],
    url: Annotated[str, typer.Option(help="The gateway's URL")] = "http://127.0.0.1:8200",
    key_file: Annotated[Path | None, typer.Option(help=f"A file with an admin's API key; or {KEY_VARIABLE}")] = None,
    with_key: Annotated[
        bool, typer.Option("--with-key", help="Include the binding's key, which decrypts the terms")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation before the key is exported")] = False,
) -> None:
    """Write a decision's evidence, proof and grant to a file for `verify`, online or offline. Recorded in the audit."""
    with one_line_errors():
        api_key = key_from(key_file, KEY_VARIABLE)
        if with_key:
            tell(
                "The key decrypts every record of this binding on the ledger, including those before and after this"
                " decision: the account's status, permissions and limits. It decrypts no other binding, and no "
                "record contains a name. Whoever has the file has the key. A key that was handed out cannot be "
                "taken back; the account can only be bound again (rebind)."
            )
            if not yes:
                typer.confirm(in_language("Export the key?"), abort=True)
        path, body = f"/v1/decisions/{_segment(transaction)}/export", {"reason": reason, "with_key": with_key}
        answer = call_service("POST", url, path, api_key, CaseFile, body=body, timeout_s=_TIMEOUT_S)
        write_private(output, answer.text + "\n")
        why_not = answer.document.no_proof_because
    tell(f"wrote {output}, with the binding's key" if with_key else f"wrote {output}")
    if why_not is not None:
        tell(f"without a storage proof, so not for --offline: {why_not}")


def _segment(transaction: str) -> str:
    """A transaction's id as part of a path. Raises: InvalidValue."""
    if re.fullmatch("[A-Za-z0-9._:-]{1,64}", transaction) is None:
        raise InvalidValue("transaction", "not an id", "1 to 64 letters, digits and . _ : -")
    return transaction
