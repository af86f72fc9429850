"""`config check` and the environment, in both services."""

import pytest
import typer
from typer.testing import CliRunner

from standing.gateway.cli import app as gateway
from standing.node.cli import app as node


@pytest.mark.parametrize(("app", "prefix"), [(node, "STANDING_NODE_"), (gateway, "STANDING_GATEWAY_")])
def test_a_misspelt_variable_is_warned_of_and_no_other(app: typer.Typer, prefix: str) -> None:
    names = ["LISTN_PORT", "SERVICE_HOST__PORT", "LISTEN_PORT", "WARNING__LEARN", "SIGNER_PKCS11__KEY_LABEL", "KEY"]
    wrong = names[:2] + (["WARNING__LEARN"] if app is node else ["SIGNER_PKCS11__KEY_LABEL"])
    result = CliRunner().invoke(app, ["config", "check"], env={prefix + name: "pa55w0rd" for name in names})
    warned = [line for line in result.stderr.splitlines() if line.startswith("warning: ")]
    assert warned == [f"warning: {prefix}{name} is no setting, and has no effect" for name in sorted(wrong)]
    assert "pa55w0rd" not in result.output
