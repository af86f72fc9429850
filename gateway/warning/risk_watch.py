"""When a binding at risk is reported: once per cause, and again only after the risk was gone. Pure."""

from collections.abc import Collection


def next_warning(
    reported: Collection[str], per_mille: int, cause: str | None, *, warn_per_mille: int
) -> tuple[str | None, frozenset[str]]:
    """The cause to report for a binding at its newest probability, and the causes that count as reported from then on.

    `reported`: the causes reported before. `cause`: the strongest factor; None where nothing adds to the probability.
    Below half of `warn_per_mille` the risk is gone, and every cause may be reported again.
    """
    if per_mille * 2 < warn_per_mille:
        return None, frozenset()
    if cause is not None and per_mille >= warn_per_mille and cause not in reported:
        return cause, frozenset(reported) | {cause}
    return None, frozenset(reported)
