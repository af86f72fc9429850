"""A typed client, made by openapi-python-client of the gateway's own OpenAPI, plays a day at the gateway."""

import json
import subprocess
import sys
from contextlib import closing
from importlib import import_module, invalidate_caches
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.gateway_rig import Rig, rig
from tests.world import wait_until

_PACKAGE = "standing_client"


class GeneratedClient:
    """The generated package: its operations by name, its models, and a client for each role."""

    def __init__(self, made: Rig, folder: Path) -> None:
        document = folder / "openapi.json"
        document.write_text(json.dumps(made.openapi))
        generator = Path(sys.executable).parent / "openapi-python-client"
        where: list[str | Path] = [
            "--path",
            document,
            "--output-path",
            folder / _PACKAGE,
            "--config",
            _without_hooks(folder),
        ]
        result = subprocess.run(
            [generator, "generate", "--meta", "none", "--fail-on-warning", *where],
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        invalidate_caches()
        package = import_module(f"{_PACKAGE}.client")
        self.models: Any = import_module(f"{_PACKAGE}.models")
        self._open = {role: package.AuthenticatedClient(made.url, token=key) for role, key in made.keys.items()}

    def __call__(self, role: str, operation: str, *arguments: Any, **named: Any) -> Any:
        """The parsed answer of an operation such as `decisions.post_decision`."""
        module: Any = import_module(f"{_PACKAGE}.api.{operation}")
        return module.sync(*arguments, client=self._open[role], **named)

    def close(self) -> None:
        for client in self._open.values():
            client.get_httpx_client().close()


def _without_hooks(folder: Path) -> Path:
    """No formatting after the generation: the generated code is for running alone."""
    config = folder / "client.yaml"
    config.write_text("post_hooks: []\n")
    return config


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(tmp_path)
    with rig(tmp_path) as one, closing(GeneratedClient(one, tmp_path)) as client:
        yield one, client
    for name in [name for name in sys.modules if name.partition(".")[0] == _PACKAGE]:
        del sys.modules[name]


def test_a_generated_client_binds_pays_settles_and_reads_it_all_back(made: tuple[Rig, GeneratedClient]) -> None:
    gateway, call = made
    models = call.models
    person = gateway.person()
    assert {bank.bic for bank in call("platform", "banks.get_banks").banks} == set(gateway.banks)

    claim = models.BindBody.from_dict(
        {"bank": person.bank.bic, "user_id": person.user_id, "request_id": "generated-1", **person.claim}
    )
    bound = call("platform", "bindings.post_binding", body=claim)
    assert bound.outcome == models.BindAnswerOutcome.GRANTED
    assert bound.message.zh

    def pay(transaction_id: str, amount_minor: int) -> Any:
        body = models.DecisionBody(transaction_id, bound.binding, models.Kind.PAYMENT, amount_minor, "CNY")
        return call("platform", "decisions.post_decision", body=body)

    paid = pay("generated-pay-1", 1_250)
    assert (paid.outcome, paid.reason) == (models.Outcome.APPROVE, None)
    captured = call("platform", "decisions.capture", paid.transaction_id, body=models.CaptureBody(amount_minor=1_000))
    assert captured.reservation.captured_minor == 1_000
    refund = models.RefundBody(refund_id="generated-refund-1", amount_minor=400)
    assert call("platform", "decisions.refund", paid.transaction_id, body=refund).reservation.refunded_minor == 400
    held = pay("generated-pay-2", 500)
    assert call("platform", "decisions.void", held.transaction_id).reservation.state == models.State.VOIDED

    two = [models.DecisionBody(f"batch-{n}", bound.binding, models.Kind.PAYMENT, 1, "CNY") for n in (1, 2)]
    batch = models.BatchBody(two)
    assert [item.status for item in call("platform", "decisions.post_decisions", body=batch).answers] == [200, 200]

    listed = call("platform", "decisions.get_decisions", user_id=person.user_id)
    assert {one.transaction_id for one in listed.decisions} >= {"generated-pay-1", "generated-pay-2", "batch-1"}
    [account] = call("platform", "bindings.get_accounts", person.user_id).accounts
    assert (account.binding, account.can_pay) == (bound.binding, True)
    assert call("support", "support.get_trail", bound.binding).binding == bound.binding
    wait_until(lambda: bool(call("platform", "events.get_events", binding=bound.binding).events))


def test_a_generated_client_closes_a_review_and_parses_problems(made: tuple[Rig, GeneratedClient]) -> None:
    gateway, call = made
    models = call.models
    person = gateway.bound()
    body = models.DecisionBody("generated-review", person.binding, models.Kind.PAYMENT, 900, "CNY")
    elsewhere = person.bank.accounts[person.number].holder.model_copy(update={"phone": "+8613900000001"})
    person.bank.change(person.number, holder=elsewhere)
    decided = call("platform", "decisions.post_decision", body=body)
    assert (decided.outcome, decided.reason) == (models.Outcome.REVIEW, models.Reason.PHONE_CHANGED)
    assert [one.transaction_id for one in call("support", "decisions.get_reviews").decisions] == ["generated-review"]
    closing = models.ReviewBody(outcome=models.ReviewBodyOutcome.APPROVE, reason="the user named the new phone")
    closed = call("support", "decisions.close_review", "generated-review", body=closing)
    assert closed.review.state == models.ReviewDocumentState.CLOSED

    endpoint = models.EndpointBody(url="https://hooks.example.com/standing")
    for role, status in (("platform", 403), ("admin", 422)):  # an admin states no reason
        assert call(role, "events.post_endpoint", body=endpoint).status == status
    made_one = call("admin", "events.post_endpoint", body=endpoint, standing_reason="a new receiver")
    assert made_one.secret.startswith("whsec_")
    again = models.DecisionBody("generated-review", person.binding, models.Kind.PAYMENT, 901, "CNY")
    conflict = call("platform", "decisions.post_decision", body=again)
    assert (conflict.status, conflict.type_) == (409, "urn:standing:problem:conflict")
