"""The support story: a payment fails, the trail names the stalled hop, a resync is requested, and the payment goes
through."""

from typing import Any

import pytest

from standing.ledger.service.api_keys import new_key
from tests.world import ACCOUNT, World, wait_until

_NUMBER = ACCOUNT["number"]


@pytest.mark.long
def test_a_payment_fails_the_trail_shows_the_stalled_hop_and_after_a_resync_it_goes_through(a_world: World) -> None:
    # This bank's node would treat a transaction as lost only after an hour.
    bank = a_world.start_bank(publisher={"resend_after_ms": 3_600_000})
    bank.change(ACCOUNT)
    (support, support_hash), (platform_key, platform_hash) = new_key(), new_key()
    keys = [
        {"name": "support", "role": "support", "sha256": support_hash},
        {"name": "checkout", "role": "platform", "sha256": platform_hash},
    ]
    platform = a_world.start_platform(follower={"poll_ms": 10}, api_keys=keys)
    platform.key = platform_key
    binding = platform.bind(bank.bic)
    bank.change({"number": _NUMBER, "status": "frozen", "debit_allowed": False, "credit_allowed": False})
    assert platform.decide(binding)["reason"] == "account_frozen"

    # The bank unfreezes the account; its publication is sent, and lost on its way into a block.
    a_world.chain.holding = True
    bank.feed({"number": _NUMBER, "status": "active", "debit_allowed": True, "credit_allowed": True})

    def trail() -> dict[str, Any]:
        platform.key = support
        found: dict[str, Any] = platform.get(f"/v1/bindings/{binding}/trail").json()
        platform.key = platform_key
        return found

    wait_until(lambda: trail()["changes"][0]["hops"][3]["state"] == "done")
    wait_until(lambda: a_world.chain.mempool.taken)  # noted as submitted before it is sent
    assert platform.decide(binding)["reason"] == "account_frozen"  # "but my bank says that it is active!"

    # Half a minute later support looks, and sees the stalled hop and what to do.
    a_world.clock.advance(31_000)
    seen = trail()
    assert seen["stalled"] == "in_block"
    assert seen["last_decision"]["reason"] == "account_frozen"
    assert "resync" in seen["to_do"]["en"]
    assert "重新同步" in seen["to_do"]["zh"]

    # The network is back without the lost transaction; support asks the bank to publish again.
    a_world.chain.lose()
    asked = platform.post(
        f"/v1/bindings/{binding}/resync", key=support, json={"reason": "user calls: account is active"}
    )
    # The attestation is signed and in flight: nothing is added, and the lost publication is sent again at once.
    assert (asked.status_code, asked.json()["queued"]) == (200, False)
    wait_until(lambda: platform.decide(binding)["outcome"] == "approve")
    a_world.clock.advance(1)  # so that decisions from here on are the latest
    # The lost publication is in a block now: the trail ends with the decision based on it.
    wait_until(lambda: platform.decide(binding) and trail()["changes"][0]["hops"][-1]["state"] == "done")
    after = trail()
    assert after["stalled"] is None
    assert after["last_decision"]["outcome"] == "approve"
