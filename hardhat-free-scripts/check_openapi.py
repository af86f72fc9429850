"""Check the OpenAPI of both services: it is valid, names are unique, and every input states what is allowed."""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from openapi_spec_validator import OpenAPIV31SpecValidator

from standing.gateway.app import create_app as create_gateway
from standing.gateway.settings import GatewaySettings
from standing.ledger.attestations.publication import LocalSigner
from standing.ledger.chain import governance
from standing.ledger.devnet.chain import DEVNET_KEYS, Devnet
from standing.ledger.service.serve import served
from standing.ledger.service.settings import load
from standing.node.app import create_app as create_node
from standing.node.composition import build, read_secrets
from standing.node.settings import NodeSettings

_STRING_BOUNDS = {"pattern", "maxLength", "enum", "const", "format"}
_LOWER, _UPPER = {"minimum", "exclusiveMinimum"}, {"maximum", "exclusiveMaximum"}


def documents(folder: Path) -> dict[str, dict[str, Any]]:
    """The documents of a gateway and a node that `init` set up, on a development chain."""
    with served(Devnet().app) as url:
        registrar = LocalSigner(DEVNET_KEYS[0]).address
        contract = governance.deploy(url, DEVNET_KEYS[0], governor=registrar, registrar=registrar, guardian=registrar)
        return _documents(folder, ["--ledger-url", url, "--contract", contract])


def _documents(folder: Path, ledger: list[str]) -> dict[str, dict[str, Any]]:
    commands = Path(sys.executable).parent
    gateway, node, key = folder / "gateway", folder / "node", folder / "key"
    key.write_text("sk_" + "A" * 43 + "\n")
    bank: list[str | Path] = [
        "YUNXCNB0",
        "-c",
        gateway / "gateway.toml",
        "--name",
        "A bank",
        "--node-url",
        "http://127.0.0.1:9",
    ]
    makings: list[list[str | Path]] = [
        [commands / "standing-gateway", "init", gateway, "--platform", "jinqiao-pay", *ledger],
        [commands / "standing-gateway", "bank", "add", *bank, "--key-file", key],
        [commands / "standing-node", "init", node, "--bic", "YUNXCNB0", *ledger],
    ]
    for command in makings:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    settings = load(NodeSettings, node / "node.toml")
    apps = {
        "gateway": create_gateway(load(GatewaySettings, gateway / "gateway.toml")),
        "node": create_node(build(settings, read_secrets(settings))),
    }
    return {name: app.openapi() for name, app in apps.items()}


def faults(document: dict[str, Any]) -> Iterator[str]:
    """Everything that other tools would have trouble with."""
    for error in OpenAPIV31SpecValidator(document).iter_errors():
        yield f"{'/'.join(str(part) for part in error.absolute_path)}: {error.message}"
    schemas = document["components"]["schemas"]
    yield from (f"{name}: no name of its own" for name in schemas if not re.fullmatch("[A-Z][A-Za-z0-9]+", name))
    operations = [each for methods in document["paths"].values() for each in methods.values()]
    ids = [operation["operationId"] for operation in operations]
    yield from (f"{one}: names more than one operation" for one in set(ids) if ids.count(one) > 1)
    wanted: set[str] = set()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for parameter in operation.get("parameters", []):
                yield from _unbounded(parameter["schema"], f"{method} {path} {parameter['name']}")
            wanted |= _references(operation.get("requestBody", {}))
    checked: set[str] = set()
    while wanted := wanted - checked:
        name = wanted.pop()
        checked.add(name)
        yield from _unbounded(schemas[name], name)
        wanted |= _references(schemas[name])


def _references(node: Any) -> set[str]:
    found = re.findall(r'"#/components/schemas/(\w+)"', json.dumps(node))
    return set(found)


def _unbounded(schema: dict[str, Any], where: str) -> Iterator[str]:
    kind, keys = schema.get("type"), schema.keys()
    if kind == "string" and not keys & _STRING_BOUNDS:
        yield f"{where}: a string without pattern or length"
    if kind in {"integer", "number"} and not (keys & _LOWER and keys & _UPPER) and not keys & {"enum", "const"}:
        yield f"{where}: a number without bounds"
    if kind == "array" and "maxItems" not in schema:
        yield f"{where}: an array without a bound"
    for one in [*schema.get("anyOf", []), *schema.get("oneOf", []), *schema.get("allOf", [])]:
        yield from _unbounded(one, where)
    for name, one in schema.get("properties", {}).items():
        yield from _unbounded(one, f"{where}.{name}")
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), dict):
            yield from _unbounded(schema[name], f"{where}[]")


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        found = [f"{name}: {fault}" for name, one in documents(Path(folder)).items() for fault in faults(one)]
    print("\n".join(found) or "the OpenAPI of gateway and node validates, and every input has bounds")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
