"""Reservations of a rig and the resulting usage."""

from tests.gateway.decision_rig import Account, DecisionRig

HOUR_MS = 3_600_000


async def reserve(rig: DecisionRig, account: Account, amount_minor: int) -> str:
    answer = await rig.decide(account, amount_minor)
    assert answer["outcome"] == "approve"
    name: str = answer["transaction_id"]
    return name


def used_minor(rig: DecisionRig) -> int:
    return sum(used for _, _, used in rig.used())
