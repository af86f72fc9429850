"""The real gateway, served over HTTP, with a real chain and two fake banks; and a client that checks every answer
against the gateway's own OpenAPI."""

import itertools
import re
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import httpx
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from stdnum import luhn

from standing.gateway.app import create_app
from standing.gateway.evidence.signing import new_evidence_key
from standing.gateway.settings import GatewaySettings
from standing.ledger.attestations.binding_protocol import Claim
from standing.ledger.attestations.publication import LocalSigner
from standing.ledger.chain import governance
from standing.ledger.clock import ManualClock, SystemClock
from standing.ledger.devnet.chain import DEVNET_KEYS, Devnet
from standing.ledger.service.api_keys import new_key
from standing.ledger.service.serve import served
from tests.databases import new_database
from tests.gateway.fake_bank import PLATFORM, Account, FakeBank
from tests.timeouts import PATIENT_MS, patient_ledger

REGISTRAR, GUARDIAN = DEVNET_KEYS[0], DEVNET_KEYS[1]
BICS = ("YUNXCNB0", "HAIYCNS0001")


class Chain:
    """The development chain behind a client that tests can close."""

    def __init__(self, clock: ManualClock) -> None:
        self.devnet = Devnet(now_s=lambda: clock.now_ms() // 1000)
        self.down = False

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.down and scope["type"] == "http":
            await Response(status_code=502)(scope, receive, send)
        else:
            await self.devnet.app(scope, receive, send)


@dataclass
class ApiClient:
    """An HTTP client with one key. Every answer must be documented in the gateway's OpenAPI, problems by type.

    `why`: the reason sent with an action, if the call itself has none.
    """

    client: httpx.Client
    openapi: dict[str, Any]
    key: str | None
    why: str | None = None

    def __call__(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.key}"} if self.key is not None else {}
        if self.why is not None:
            headers["Standing-Reason"] = self.why
        answer = self.client.request(method, path, headers=headers | kwargs.pop("headers", {}), **kwargs)
        self._check(method, path.partition("?")[0], answer)
        return answer

    def _check(self, method: str, path: str, answer: httpx.Response) -> None:
        template = next(
            (known for known in self.openapi["paths"] if re.fullmatch(re.sub(r"{\w+}", "[^/]+", known), path)), None
        )
        assert template is not None, path
        documented = self.openapi["paths"][template][method.lower()]["responses"]
        assert str(answer.status_code) in documented, (method, template, answer.status_code, answer.text)
        if answer.headers.get("content-type") == "application/problem+json":
            examples = documented[str(answer.status_code)]["content"]["application/problem+json"]["examples"]
            types = {example["value"]["type"] for example in examples.values()}
            assert answer.json()["type"] in types, (method, template, answer.json()["type"])


class Rig:
    """The whole system. Banks and gateway share one clock, which moves only when a test moves it.

    `chain_url`: a chain other than the development chain, with the same funded accounts.
    """

    #: The same for every gateway and slow to build, so fetched once.
    openapi: ClassVar[dict[str, Any]] = {}

    def __init__(
        self, stack: ExitStack, folder: Path, *, chain_url: str | None = None, **settings_changed: Any
    ) -> None:
        self.folder = folder
        self.clock = ManualClock(SystemClock().now_ms())
        self.chain = Chain(self.clock)
        self.chain_url = chain_url or stack.enter_context(served(self.chain.app))
        registrar = LocalSigner(REGISTRAR).address
        self.contract = governance.deploy(
            self.chain_url, REGISTRAR, governor=registrar, registrar=registrar, guardian=LocalSigner(GUARDIAN).address
        )
        self.ledger = patient_ledger(self.chain_url, self.contract)
        self.banks = {
            bic: FakeBank(bic, self.ledger, sender_key, self.clock)
            for bic, sender_key in zip(BICS, DEVNET_KEYS[2:], strict=False)
        }
        for bank in self.banks.values():
            governance.execute(self.ledger, governance.admit(bank.bic, bank.signer.address, registrar), REGISTRAR)
            bank.publish()
        urls = {bic: stack.enter_context(served(bank.serve)) for bic, bank in self.banks.items()}
        self.keys: dict[str, str] = {}
        self.settings = self._settings(urls, settings_changed)
        self.app = create_app(self.settings, self.clock)
        self.url = stack.enter_context(served(self.app))
        self._client = stack.enter_context(httpx.Client(base_url=self.url, timeout=60))
        if not self.openapi:
            self.openapi.update(self._client.get("/openapi.json").json())
        self.platform, self.support, self.nobody = self.client("platform"), self.client("support"), self.client(None)
        self._people = itertools.count(1)

    def _settings(self, urls: dict[str, str], changed: dict[str, Any]) -> GatewaySettings:
        vault, evidence = self.folder / "vault-secret", self.folder / "evidence.pem"
        vault.write_text(secrets.token_hex(32))
        new_evidence_key(evidence)
        hashes = {}
        for role in ("platform", "support", "admin"):
            self.keys[role], hashes[role] = new_key()
        banks = []
        for bic, url in urls.items():
            key_file = self.folder / f"node-key-{bic}"
            key_file.write_text(self.banks[bic].node_key + "\n")
            banks.append(
                {
                    "bic": bic,
                    "name": f"Bank {bic}",
                    "name_zh": f"银行 {bic}",
                    "node_url": url,
                    "node_api_key_file": key_file,
                    "time_zone": "Asia/Shanghai",
                }
            )
        base: dict[str, Any] = {
            "platform": PLATFORM,
            "database_url": new_database(self.folder, "gateway"),
            "ledger_url": self.chain_url,
            "ledger_contract": self.contract,
            "chain_id": self.ledger.domain.chain_id,
            "ledger_read_timeout_ms": PATIENT_MS,
            "bank_node_timeout_ms": PATIENT_MS,
            "vault_secret_files": [vault],
            "evidence_key_file": evidence,
            "api_keys": [{"name": role, "role": role, "sha256": digest} for role, digest in hashes.items()],
            "banks": banks,
        }
        return GatewaySettings(**(base | changed))

    def client(self, role: str | None) -> ApiClient:
        return ApiClient(self._client, self.openapi, self.keys[role] if role is not None else None)

    def heartbeat(self) -> None:
        """Let every bank publish a heartbeat."""
        for bank in self.banks.values():
            bank.publish()

    def person(self, bic: str = BICS[0], **account: Any) -> "Person":
        """A new user with a new account at a bank, not bound yet."""
        index = next(self._people)
        stem = f"91560{index:010d}"
        claim = {
            "number": stem + luhn.calc_check_digit(stem),
            "number_type": "card",
            "holder_name": f"欧阳测试{chr(0x4E00 + index)}",
            "id_document_scheme": "CCPT",
            "id_document_country": "CN",
            "id_document_number": f"E{index:08d}",
            "phone": f"+86138{index:08d}",
        }
        self.banks[bic].accounts[claim["number"]] = Account(Claim(**claim), **account)
        return Person(self, self.banks[bic], f"u-{index}", claim)

    def bound(self, bic: str = BICS[0], **account: Any) -> "Person":
        """A new user with a bound account."""
        person = self.person(bic, **account)
        answer = person.bind()
        assert answer.status_code == 201, answer.text
        person.binding = answer.json()["binding"]
        return person


@dataclass
class Person:
    """A user of the platform, with one account."""

    rig: Rig
    bank: FakeBank
    user_id: str
    claim: dict[str, str]
    binding: str = ""

    @property
    def number(self) -> str:
        return self.claim["number"]

    def bind(self, **changes: Any) -> httpx.Response:
        body = {"bank": self.bank.bic, "user_id": self.user_id, "request_id": f"bind-{self.user_id:0>8}", **self.claim}
        return self.rig.platform("POST", "/v1/bindings", json=body | changes)

    def transaction(self, **changes: Any) -> dict[str, Any]:
        return {
            "transaction_id": f"t-{secrets.token_hex(6)}",
            "binding": self.binding,
            "kind": "payment",
            "amount_minor": 1_000,
            "currency": "CNY",
        } | changes

    def decide(self, **changes: Any) -> dict[str, Any]:
        answer = self.rig.platform("POST", "/v1/decisions", json=self.transaction(**changes))
        assert answer.status_code == 200, answer.text
        decided: dict[str, Any] = answer.json()
        return decided


@contextmanager
def rig(folder: Path, **settings_changed: Any) -> Iterator[Rig]:
    """A new rig with its files in `folder`; everything in it ends with the block."""
    with ExitStack() as stack:
        yield Rig(stack, folder, **settings_changed)
