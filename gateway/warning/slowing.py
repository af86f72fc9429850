"""When a bank counts as slowing: judged by its own past staleness, not by a constant. Pure.

The worst staleness of each hour is a block maximum, and block maxima follow an extreme-value distribution whatever the
single values follow (E. J. Gumbel, Statistics of Extremes, 1958). Fitted to the last week by its moments, it gives the
staleness that an unchanged bank exceeds about once in two weeks.
"""

import math
from collections.abc import Sequence
from statistics import fmean, stdev

#: How much of the past counts, in hours.
PAST_HOURS = 7 * 24
#: With fewer hours a bank's habits are unknown, and nothing is reported.
MIN_HOURS = 6
#: How seldom an ordinary hour may exceed the limit: once in this many hours.
_ONCE_IN_HOURS = 2 * PAST_HOURS
#: Hours of a week in which staleness may pass half the bound. With more, this is the bank's habit, and a warning at the
#: half would be false too often (docs/EARLY-WARNING.md has the count).
_MAX_ODD_HOURS = 4


def slowing_age_ms(worst_ages_ms: Sequence[int], bound_ms: int) -> int | None:
    """The staleness from which a bank counts as slowing; None where too little is known, or where its ordinary
    staleness reaches the bound, so that nothing could be reported ahead.

    `worst_ages_ms`: the worst of each past hour, the newest `PAST_HOURS` at most. Hours in which the bank was silent,
    with a value beyond `bound_ms`, do not show its habit and are left out.
    """
    usual = [max(0, age) for age in worst_ages_ms if age <= bound_ms]
    if len(usual) < MIN_HOURS:
        return None
    scale = stdev(usual) * math.sqrt(6) / math.pi
    mode = fmean(usual) - 0.5772156649 * scale
    rare_ms = mode - scale * math.log(-math.log1p(-1 / _ONCE_IN_HOURS))
    age_ms = max(round(rare_ms), max(usual) * 5 // 4)
    half_ms = bound_ms // 2
    if sum(age > half_ms for age in usual) <= _MAX_ODD_HOURS:
        age_ms = min(age_ms, half_ms)
    return age_ms if age_ms < bound_ms else None
