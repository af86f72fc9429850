"""A core that says "now" gets the node's own time, with the same guarantees as any entry."""

import httpx

from tests.world import ACCOUNT, World


def test_an_entry_of_now_gets_the_nodes_time_and_is_published_like_any_other(a_world: World) -> None:
    bank = a_world.start_bank()

    def push(**entry: object) -> httpx.Response:
        headers = {"Authorization": f"Bearer {bank.core_key}"}
        return httpx.post(f"{bank.url}/v1/feed", headers=headers, json=entry, timeout=30)

    account = {**ACCOUNT, "effective_at_ms": "now"}
    first = push(as_of_ms="now", changes=[account])
    assert first.status_code == 200, first.text
    assert first.json()["as_of_ms"] == a_world.clock.now_ms()
    again = push(as_of_ms="now", changes=[account])
    assert again.json()["as_of_ms"] == first.json()["as_of_ms"] + 1, (
        "times of entries increase even if the clock does not"
    )
    later = a_world.clock.advance(60)
    assert push(as_of_ms=later, changes=[account]).json()["as_of_ms"] == later
    parts = push(as_of_ms="now", changes=[], complete=False)
    assert (parts.status_code, parts.json()["type"]) == (422, "urn:standing:problem:invalid-value")
    assert push(as_of_ms="soon", changes=[]).status_code == 422
