"""`standing-gateway bank`: the banks whose accounts may be bound, in the settings file."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from standing.gateway.settings import GatewaySettings
from standing.ledger.attestations.bic import parse_bic
from standing.ledger.service.command_language import in_language
from standing.ledger.service.commands import Config, one_line_errors, tell
from standing.ledger.service.files import add_entry, give_to_owner_of
from standing.ledger.service.private_files import write_private
from standing.ledger.service.settings import SettingsError, load_text, read_api_key

app = typer.Typer(help="Banks whose accounts can be bound.", no_args_is_help=True)


@app.callback()  # without a callback, a single command would lose its name
def banks() -> None:
    """Banks whose accounts can be bound."""


@app.command()
def add(
    bank: Annotated[str, typer.Argument(help="The bank's BIC")],
    name: Annotated[str, typer.Option(help="The bank's name, as shown to users")],
    node_url: Annotated[str, typer.Option(help="URL of the bank's node")],
    config: Config = None,
    name_zh: Annotated[str | None, typer.Option(help="The bank's name in Chinese, if it has one")] = None,
    key_file: Annotated[
        Path | None,
        typer.Option(
            help="File with the key that the bank gave this platform; without it you are asked for the key, "
            "which is stored beside the settings"
        ),
    ] = None,
    time_zone: Annotated[
        str, typer.Option(help="The bank's time zone: when its day begins and ends")
    ] = "Asia/Shanghai",
) -> None:
    """Add a bank to the settings file. Run `reload` to apply it to a running gateway."""
    with one_line_errors():
        bic = parse_bic(bank, "bank")
        if config is None:
            raise SettingsError("--config: required; allowed: the settings file to add the bank to")
        prompted, written = key_file is None, False
        if key_file is None:
            key = typer.prompt(in_language("The key that the bank gave this platform"), hide_input=True).strip()
            key_file = config.absolute().parent / f"node-key-{bic}"
            # It is there, without the bank in the settings, if an earlier run was killed in between.
            written = not (key_file.is_file() and read_api_key(key_file, "key-file") == key)
            if written:
                write_private(key_file, key + "\n")
        try:
            if prompted:
                give_to_owner_of(config, key_file)
            read_api_key(key_file, "key-file")
            entry = {
                "bic": bic,
                "name": name,
                **({"name_zh": name_zh} if name_zh is not None else {}),
                "node_url": node_url,
                "node_api_key_file": str(key_file.absolute()),
                "time_zone": time_zone,
            }

            def check(text: str) -> None:
                settings = load_text(GatewaySettings, text, str(config))
                if bic not in {each.bic for each in settings.banks}:
                    raise SettingsError("banks: set in the environment (STANDING_GATEWAY_BANKS): add the bank there")

            add_entry(config, "banks", entry, check)
        except BaseException:
            if written:
                key_file.unlink()
            raise
    tell(f"{bic} is in {config}; its key is in {key_file}.")
    tell(f"Check the setup: standing-gateway doctor -c {shlex.quote(str(config))}")
    tell(
        "Next: standing-gateway reload, with an admin's key, or send each gateway's process SIGHUP; no request is lost."
    )
