"""When a binding at risk is told: once for each cause, and again only after its risk had gone. Pure."""

from collections.abc import Collection

from standing.gateway.events.settings import WARN_PER_MILLE


def next_warning(
    told: Collection[str], per_mille: int, cause: str | None, *, warn_per_mille: int = WARN_PER_MILLE
) -> tuple[str | None, frozenset[str]]:
    """What is to be told of a binding by its newest probability, and the causes that count as told from then on.

    `told`: the causes told before. `cause`: the strongest factor, None where nothing adds to the probability.
    Below half of `warn_per_mille` the risk has gone, and every cause is news again.
    """
    if per_mille * 2 < warn_per_mille:
        return None, frozenset()
    if cause is not None and per_mille >= warn_per_mille and cause not in told:
        return cause, frozenset(told) | {cause}
    return None, frozenset(told)
