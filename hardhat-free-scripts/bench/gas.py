"""Gas per attestation, compared with the Ethereum Attestation Service (EAS) on the same EVM in the same run.

EAS is the release from npm, with its makers' own bytecode, used in the cheapest way: no recipient, no
expiration, no reference, no resolver. Both hold the same 96 bytes per attestation (our binding, tag, effective time and
sealed terms; their payload). An EAS attestation is always new, and the one it replaces would have to be revoked at
further cost; ours is new the first time a binding is written and an update ever after, the daily work of a ledger of
account status.
"""

import json
from pathlib import Path
from typing import Any

from hexbytes import HexBytes

from bench.figures import Figure, Ratio
from gas import BATCHES
from tests.contracts.abi import Abi
from tests.contracts.chain import Chain
from tests.contracts.ledger import (
    ZERO_ADDRESS,
    ZERO_HASH,
    Issuer,
    StatusLedger,
    attestation,
    signer,
)
from tests.contracts.npm_packages import install

AIM_AT_100 = 15.2
# A multiAttest of 500 does not fit into a block of 30 million: the limit is raised for both alike.
GAS_LIMIT = 1_000_000_000


class Eas:
    """EAS with one schema of our payload's shape: not revocable by a resolver, no expiration, no references."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._account = chain.accounts[0]
        registry_abi, registry_code = self._load("SchemaRegistry")
        registry = chain.deploy(self._account, registry_code)
        self._abi, code = self._load("EAS")
        self._address = chain.deploy(self._account, code + self._abi.constructor(registry))
        schema = registry_abi.call("register", "bytes32 binding, bytes32 head, bytes32 sealedTerms", ZERO_ADDRESS, True)
        registered = chain.transact(self._account, registry, schema)
        assert registered.ok
        self._schema = registered.logs[0][0][1]

    @staticmethod
    def _load(name: str) -> tuple[Abi, bytes]:
        package = install() / "@ethereum-attestation-service" / "eas-contracts"
        artifact = json.loads((package / "artifacts" / "contracts" / f"{name}.sol" / f"{name}.json").read_text())
        return Abi(artifact["abi"]), bytes(HexBytes(artifact["bytecode"]))

    def gas(self, payloads: list[bytes]) -> int:
        """Gas of one transaction that attests all payloads: attest for one, multiAttest for more."""
        data = [(ZERO_ADDRESS, 0, True, ZERO_HASH, payload, 0) for payload in payloads]
        if len(data) == 1:
            call = self._abi.call("attest", (self._schema, data[0]))
        else:
            call = self._abi.call("multiAttest", [(self._schema, data)])
        outcome = self._chain.transact(self._account, self._address, call, gas=GAS_LIMIT // 2)
        assert outcome.ok, self._abi.refusal(outcome.output)
        return outcome.gas_used


def measure() -> dict[str, Any]:
    """Gas per attestation for each batch size, by contender, with the ratios EAS / ours. Raises: NpmMissing."""
    chain = Chain(gas_limit=GAS_LIMIT)
    ledger = StatusLedger.deploy(chain)
    bank = Issuer("BKCHCNBJ", signer("gas"), chain.accounts[4])
    assert bank.admit(ledger).ok
    assert bank.publish(ledger).ok  # the first publication of a history pays for the bank's own storage
    eas = Eas(chain)
    batches = {}
    for count in BATCHES:
        figures = {}
        for name, version in (("new", 1), ("update", 2)):
            now = ledger.latest_ms
            items = [attestation(1000 * count + number, version) for number in range(count)]
            outcome = bank.publish(ledger, *items, watermark_ms=now)
            assert outcome.ok
            figures[name] = outcome.gas_used / count
            if version == 1:
                payloads = [item.words for item in items]  # 96 bytes, dense as ours are
                figures["eas"] = eas.gas(payloads) / count
        figures["eas / new"] = figures["eas"] / figures["new"]
        figures["eas / update"] = figures["eas"] / figures["update"]
        batches[count] = {name: round(value, 2) for name, value in figures.items()}
    return {
        "batches": batches,
        "aim": {"name": "EAS / update at 100", "at_least": AIM_AT_100, "value": batches[100]["eas / update"]},
    }


def run(_folder: Path, _rounds: int) -> tuple[list[Figure], list[Ratio]]:
    """The figures for `bench.py`. Gas is exact, so one round is enough. Raises: NpmMissing."""
    measured = measure()
    names = {"new": "StatusLedger, new", "update": "StatusLedger, update", "eas": "EAS"}
    figures = [
        Figure("gas", f"batch of {count}", shown, unit="gas per attestation", ours=name != "eas", rates=[row[name]])
        for count, row in measured["batches"].items()
        for name, shown in names.items()
    ]
    aim = measured["aim"]
    return figures, [Ratio("gas: " + aim["name"], aim["value"], AIM_AT_100)]
