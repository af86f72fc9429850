"""`standing-gateway evidence export`: a case handed over from a running gateway."""

import os
import re
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from standing.ledger.errors import InvalidValue, Unavailable
from standing.ledger.service.commands import console, one_line_errors
from standing.ledger.service.settings import read_text_secret, write_private

_KEY_VARIABLE = "STANDING_GATEWAY_KEY"
_TIMEOUT_S = 30.0
_RETRY_AFTER_S = 1
_OPENS = (
    "The key opens every record of this binding on the ledger, those before and after this decision too: the "
    "account's status, permissions and limits. It opens no other binding, and no name stands in a record. Whoever "
    "has the file has the key; a key that was handed out cannot be taken back, only the account bound anew (rebind)."
)

evidence = typer.Typer(help="A decision's evidence.", no_args_is_help=True)


@evidence.callback()  # with it, one command alone keeps its name
def evidence_group() -> None:
    """A decision's evidence."""


@evidence.command("export")
def export_command(
    transaction: Annotated[str, typer.Argument(help="The id of the decision's transaction")],
    reason: Annotated[str, typer.Option(help="Why it is handed over; kept in the audit")],
    output: Annotated[Path, typer.Option("--output", "-o", help="A new file, which only you can read")],
    url: Annotated[str, typer.Option(help="Where the gateway listens")] = "http://127.0.0.1:8200",
    key_file: Annotated[Path | None, typer.Option(help=f"A file with an admin's API key; or {_KEY_VARIABLE}")] = None,
    with_key: Annotated[bool, typer.Option("--with-key", help="With the binding's key, which opens the terms")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether the key may really go out")] = False,
) -> None:
    """Write a decision's evidence, proof and grant to a file that `verify` takes, online and offline. Audited."""
    with one_line_errors():
        api_key = _api_key(key_file)
        if with_key:
            console.print(_OPENS, highlight=False)
            if not yes:
                typer.confirm("Hand the key over?", abort=True)
        answer = _ask(url.rstrip("/"), transaction, api_key, {"reason": reason, "with_key": with_key})
        write_private(output, answer.text + "\n")
        why_not = answer.json()["no_proof_because"]
    console.print(f"wrote {output}" + (" with the binding's key" if with_key else ""), highlight=False, soft_wrap=True)
    if why_not is not None:
        console.print(f"without a storage proof, so not for --offline: {why_not}", highlight=False, soft_wrap=True)


def _api_key(file: Path | None) -> str:
    if file is not None:
        return read_text_secret(file, "key-file")
    key = os.environ.get(_KEY_VARIABLE)
    if not key:
        raise InvalidValue("key-file", "missing", f"a file with an API key, or {_KEY_VARIABLE} in the environment")
    return key


def _ask(url: str, transaction: str, key: str, body: dict[str, Any]) -> httpx.Response:
    """The gateway's answer. Raises: Unavailable."""
    path = httpx.URL(f"{url}/v1/decisions/").join(f"{_segment(transaction)}/export")
    try:
        answer = httpx.post(path, json=body, headers={"Authorization": f"Bearer {key}"}, timeout=_TIMEOUT_S)
        document: dict[str, Any] = answer.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise Unavailable(f"no gateway answers at {url} ({type(error).__name__})", _RETRY_AFTER_S) from error
    if answer.status_code != httpx.codes.OK:
        raise Unavailable(f"the gateway at {url} answers: {document.get('detail', answer.status_code)}", _RETRY_AFTER_S)
    return answer


def _segment(transaction: str) -> str:
    """A transaction's id as part of a path. Raises: InvalidValue."""
    if re.fullmatch("[A-Za-z0-9._:-]{1,64}", transaction) is None:
        raise InvalidValue("transaction", "not an id", "1 to 64 letters, digits and . _ : -")
    return f"./{transaction}"
