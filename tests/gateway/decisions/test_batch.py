"""Batches: an answer or a problem for each item, in order, as for single requests."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from standing.gateway.decisions import records
from standing.gateway.decisions.question import Kind, Transaction
from standing.gateway.decisions.schemas import BatchAnswer
from standing.gateway.decisions.service import MAX_BATCH
from standing.gateway.errors import StorageUnavailable
from standing.gateway.ledger_reading.reader import Seen
from standing.ledger.errors import Conflict, InvalidValue, LedgerUnreachable, NotFound, Overloaded
from tests.gateway.decision_rig import Account, DecisionRig, decision_rig
from tests.gateway.gateway_rig import Rig


def _payments(account: Account, amounts: list[int], prefix: str = "t") -> list[Transaction]:
    return [
        Transaction(f"{prefix}-{index}", account.binding, Kind.PAYMENT, amount, "CNY")
        for index, amount in enumerate(amounts)
    ]


async def _decide_all(rig: DecisionRig, transactions: list[Transaction]) -> list[Any]:
    """Each answer parsed, each error unchanged."""
    answers = await rig.decisions.decide_all(transactions)
    return [json.loads(answer) if isinstance(answer, bytes) else answer for answer in answers]


@pytest.mark.anyio
async def test_a_batch_is_decided_in_the_order_of_the_request(tmp_path: Path) -> None:
    with decision_rig(tmp_path) as rig:
        account = rig.bind()  # 5000 a day
        amounts = [2_000, 4_000, 3_000, 1_000, 1]
        outcomes = [answer["outcome"] for answer in await _decide_all(rig, _payments(account, amounts))]
        assert outcomes == ["approve", "decline", "approve", "decline", "decline"]
        assert rig.used() == [("2026-01-01", "CNY", 5_000)]


@pytest.mark.anyio
async def test_the_order_is_kept_across_several_commits_and_beside_single_decisions(tmp_path: Path) -> None:
    with decision_rig(tmp_path) as rig:
        account = rig.bind()
        batch = asyncio.create_task(_decide_all(rig, _payments(account, [10] * MAX_BATCH)))
        singles = [asyncio.create_task(rig.decide(account, 10)) for _ in range(50)]
        outcomes = [answer["outcome"] for answer in await batch]
        # Once an item is declined for the daily limit, no later item is approved.
        assert outcomes == sorted(outcomes)
        approved = outcomes.count("approve") + sum([(await each)["outcome"] == "approve" for each in singles])
        assert approved == 500
        assert rig.used() == [("2026-01-01", "CNY", 5_000)]


@pytest.mark.anyio
async def test_each_binding_of_a_batch_is_read_once_after_the_request_arrived(tmp_path: Path) -> None:
    with decision_rig(tmp_path) as rig:
        accounts = [rig.bind() for _ in range(5)]
        transactions = [
            Transaction(f"t-{number}-{index}", account.binding, Kind.PAYMENT, 1, "CNY")
            for number, account in enumerate(accounts)
            for index in range(4)
        ]
        before = rig.reader.reads
        assert {answer["outcome"] for answer in await _decide_all(rig, transactions)} == {"approve"}
        assert rig.reader.reads - before == len(accounts)


@pytest.mark.anyio
async def test_a_problem_of_one_item_affects_no_other(tmp_path: Path) -> None:
    with decision_rig(tmp_path) as rig:
        account = rig.bind()
        good = _payments(account, [1, 2])
        await _decide_all(rig, [Transaction("t-old", account.binding, Kind.PAYMENT, 5, "CNY")])
        batch = [
            good[0],
            Transaction("t-nobody", bytes(32), Kind.PAYMENT, 1, "CNY"),
            Transaction("t-odd", account.binding, Kind.PAYMENT, 1, "XQX"),
            Transaction("t-old", account.binding, Kind.PAYMENT, 6, "CNY"),
            good[1],
            good[1],
            Transaction(good[1].transaction_id, account.binding, Kind.PAYMENT, 3, "CNY"),
        ]
        answers = await _decide_all(rig, batch)
        assert [type(answer) for answer in answers] == [dict, NotFound, InvalidValue, Conflict, dict, dict, Conflict]
        assert answers[4] == answers[5]
        assert rig.used() == [("2026-01-01", "CNY", 8)]


@pytest.mark.anyio
async def test_a_repeated_batch_gets_the_same_answers_and_reserves_nothing_more(tmp_path: Path) -> None:
    with decision_rig(tmp_path) as rig:
        account = rig.bind()
        transactions = _payments(account, [600] * 20)
        first = await _decide_all(rig, transactions)
        account.terms["daily_limit_minor"] = 1_000_000
        rig.clock.advance(1)
        assert await _decide_all(rig, transactions) == first
        assert await rig.decide(account, 600, transaction_id="t-3") == first[3]
        assert rig.used() == [("2026-01-01", "CNY", 4_800)]


@pytest.mark.anyio
async def test_with_the_ledger_unreachable_every_item_goes_to_review(tmp_path: Path) -> None:
    with decision_rig(tmp_path) as rig:

        async def unreachable(_binding: bytes) -> Seen:
            raise LedgerUnreachable("no answer")

        rig.reader.script = unreachable
        answers = await _decide_all(rig, _payments(rig.bind(), [1, 2, 3]))
        assert [answer["reason"] for answer in answers] == ["ledger_unreachable"] * 3


@pytest.mark.anyio
async def test_items_overtaken_by_a_later_read_are_read_again_in_order(tmp_path: Path) -> None:
    with decision_rig(tmp_path) as rig:
        account, other = rig.bind(), rig.bind()
        old = Seen(account.record(rig.clock.now_ms()), 1)
        account.publication = 2
        await rig.decide(account, 1)  # publication 2 is recorded
        reads: list[bytes] = []

        async def late_once(binding: bytes) -> Seen:
            reads.append(binding)
            return old if binding == account.binding and len(reads) < 3 else await rig._answer(binding)

        rig.reader.script = late_once
        mixed = [*_payments(account, [3_000, 1_000, 2_000]), *_payments(other, [5], "o")]
        answers = await _decide_all(rig, mixed)
        assert [answer["outcome"] for answer in answers] == ["approve", "approve", "decline", "approve"]
        assert [answer["publication"] for answer in answers] == [2, 2, 2, 1]
        assert reads == [account.binding, other.binding, account.binding]


@pytest.mark.anyio
async def test_items_overtaken_again_and_again_are_no_rollback(tmp_path: Path) -> None:
    with decision_rig(tmp_path) as rig:
        account = rig.bind()
        await rig.decide(account, 1)

        async def overtaken(_binding: bytes) -> Seen:
            seen = Seen(account.record(rig.clock.now_ms()), 1)
            if account.publication < 4:
                account.publication += 1
                rig.reader.script = rig._answer
                await rig.decide(account, 1)  # by another gateway, whose node is a block ahead
                rig.reader.script = overtaken
            return seen

        rig.reader.script = overtaken
        answers = await _decide_all(rig, _payments(account, [1, 1]))
        assert [(answer["outcome"], answer["publication"]) for answer in answers] == [("approve", 4)] * 2


@pytest.mark.anyio
async def test_a_record_still_older_on_the_second_read_is_a_rollback(tmp_path: Path) -> None:
    with decision_rig(tmp_path) as rig:
        account = rig.bind()
        account.publication = 2
        await rig.decide(account, 1)
        account.publication = 1
        answers = await _decide_all(rig, _payments(account, [1, 1]))
        assert [answer["reason"] for answer in answers] == ["ledger_rolled_back"] * 2


@pytest.mark.anyio
async def test_a_failed_commit_fails_every_item_and_stores_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with decision_rig(tmp_path) as rig:
        account = rig.bind()

        def broken(*_args: Any) -> None:
            raise StorageUnavailable("gone", 1)

        with monkeypatch.context() as patched:
            patched.setattr(records, "write_bindings", broken)  # the last thing before the commit
            answers = await _decide_all(rig, _payments(account, [1, 2]))
        assert [type(answer) for answer in answers] == [StorageUnavailable] * 2
        assert rig.used() == []
        assert {answer["outcome"] for answer in await _decide_all(rig, _payments(account, [1, 2]))} == {"approve"}


@pytest.mark.anyio
async def test_batches_beyond_the_bound_are_refused_as_overload(tmp_path: Path) -> None:
    with decision_rig(tmp_path, max_waiting=MAX_BATCH) as rig:
        account, held = rig.bind(), asyncio.Event()

        async def slow(binding: bytes) -> Seen:
            await held.wait()
            return await rig._answer(binding)

        rig.reader.script = slow
        first = asyncio.create_task(_decide_all(rig, _payments(account, [1])))
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await rig.decisions.decide_all(_payments(account, [1], "late"))
        held.set()
        assert (await first)[0]["outcome"] == "approve"


def test_a_batch_over_http_returns_a_decision_or_a_problem_for_each_item(a_rig: Rig) -> None:
    person, other = a_rig.bound(daily_limit_minor=1_500), a_rig.bound()
    items = [
        person.transaction(),
        person.transaction(binding="0x" + "11" * 32),
        person.transaction(),
        other.transaction(kind="withdrawal"),
        other.transaction(currency="XQX"),
    ]
    answer = a_rig.platform("POST", "/v1/decisions:batch", json={"decisions": items})
    assert answer.status_code == 200
    document = BatchAnswer.model_validate(answer.json())
    assert document.model_dump(mode="json") == answer.json()
    assert [item.status for item in document.answers] == [200, 404, 200, 200, 422]
    outcomes = [item.decision.outcome if item.decision is not None else None for item in document.answers]
    assert outcomes == ["approve", None, "decline", "approve", None]
    problems = [item.problem["type"].rpartition(":")[2] for item in document.answers if item.problem is not None]
    assert problems == ["not-found", "invalid-value"]
    for language in ("en", "zh"):
        preferred = {"Accept-Language": language}
        again = a_rig.platform("POST", "/v1/decisions:batch", json={"decisions": items}, headers=preferred)
        for item, asked in zip(again.json()["answers"], items, strict=True):
            alone = a_rig.platform("POST", "/v1/decisions", json=asked, headers=preferred)
            assert alone.status_code == item["status"]
            assert alone.json() == (item["decision"] or item["problem"])
            assert item["problem"] is None or item["problem"]["title"].isascii() == (language == "en")


def test_a_batch_holds_five_hundred_items_and_not_one_more(a_rig: Rig) -> None:
    person = a_rig.bound()
    items = [person.transaction(transaction_id=f"batch-{index:057d}x", amount_minor=1) for index in range(501)]
    answer = a_rig.platform("POST", "/v1/decisions:batch", json={"decisions": items[:500]})
    assert answer.status_code == 200
    assert {item["decision"]["outcome"] for item in answer.json()["answers"]} == {"approve"}
    for wrong, field in ((items, "decisions"), ([], "decisions")):
        refused = a_rig.platform("POST", "/v1/decisions:batch", json={"decisions": wrong})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, field)


def test_a_malformed_item_is_reported_by_index_and_nothing_is_decided(a_rig: Rig) -> None:
    person = a_rig.bound()
    items = [person.transaction(), person.transaction(amount_minor=-1)]
    answer = a_rig.platform("POST", "/v1/decisions:batch", json={"decisions": items})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "decisions[1].amount_minor")
    first = items[0]["transaction_id"]
    assert a_rig.platform("GET", f"/v1/decisions/{first}").status_code == 404


def test_a_batch_has_its_own_body_size_limit(a_rig: Rig) -> None:
    assert a_rig.platform("POST", "/v1/decisions:batch", content=b"[" * 70_000).status_code == 422
    assert a_rig.platform("POST", "/v1/decisions:batch", content=b"x" * (256 * 1024 + 1)).status_code == 413
