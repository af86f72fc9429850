"""How well `bank.slowing` predicts silences: the product's own estimator, on generated traces or a recorded ledger.

`python -m bench.slowing` generates eight banks for `--weeks` from a seed. `--ledger URL --contract 0x…` counts the
publications of a real ledger instead. A warning is true if staleness exceeds the bound before the bank publishes in
time again, otherwise it is a false alarm. Each hour's limit is computed from earlier hours only.
"""

import argparse
import json
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from standing.gateway.warning.slowing import MIN_HOURS, PAST_HOURS, slowing_age_ms
from standing.gateway.warning.walk import known_banks
from standing.ledger.chain.client import LedgerClient, published_event
from standing.ledger.chain.events import bank_events
from standing.ledger.clock import DAY_MS, HOUR_MS

BOUND_MS = 300_000
#: How often the gateway checks (`gateway.warning.watch`).
_POLL_MS = 5_000


@dataclass(frozen=True, slots=True)
class Publication:
    """One publication: its block's time and its watermark."""

    at_ms: int
    watermark_ms: int


@dataclass(slots=True)
class Count:
    """How many silences were predicted, and false alarms. `predicted_early`: with at least half the bound left."""

    bank: str
    weeks: float = 0.0
    silences: int = 0
    predicted: int = 0
    predicted_early: int = 0
    false_alarms: int = 0


@dataclass(frozen=True, slots=True)
class Manner:
    """How a generated bank publishes: mean interval and spread, its core's delay, stalls a day and their mean length.
    `fades`: its intervals grow before a silence."""

    name: str
    gap_ms: int
    sigma: float
    lag_ms: int
    stalls_a_day: float
    stall_ms: int
    silences_a_week: float
    fades: bool


MANNERS = (
    Manner("each second", 1_000, 0.2, 300, 1.0, 4_000, 1.0, fades=False),
    Manner("each second, stalls", 1_000, 0.3, 400, 8.0, 15_000, 2.0, fades=False),
    Manner("each 5 s", 5_000, 0.3, 800, 3.0, 10_000, 1.0, fades=True),
    Manner("each 10 s, wide", 10_000, 0.6, 1_500, 4.0, 20_000, 2.0, fades=False),
    Manner("each 30 s", 30_000, 0.2, 2_000, 2.0, 20_000, 1.0, fades=True),
    Manner("nightly batch", 5_000, 0.3, 800, 1.0, 60_000, 1.0, fades=False),
    Manner("each minute", 60_000, 0.15, 3_000, 1.0, 20_000, 1.0, fades=False),
    Manner("each minute, heavy tail", 60_000, 0.3, 3_000, 6.0, 30_000, 2.0, fades=False),
)


def generated(manner: Manner, weeks: int, seed: int) -> Iterator[Publication]:
    """A bank's publications. Silences and stalls come at random, whatever came before them."""
    source = random.Random(f"{seed} {manner.name}")  # noqa: S311 - a trace, no secret
    at_ms, end_ms = 0, weeks * 7 * DAY_MS
    next_silence_ms = _next(source, manner.silences_a_week / (7 * DAY_MS), 0)
    next_stall_ms = _next(source, manner.stalls_a_day / DAY_MS, 0)
    mu = math.log(manner.gap_ms) - manner.sigma**2 / 2
    while at_ms < end_ms:
        gap_ms = round(source.lognormvariate(mu, manner.sigma))
        lag_ms = round(source.expovariate(1 / manner.lag_ms))
        if at_ms >= next_silence_ms:
            if manner.fades:  # intervals grow before publications stop
                for factor in (2, 3, 5):
                    at_ms += gap_ms * factor
                    yield Publication(at_ms, at_ms - lag_ms * factor)
            gap_ms += BOUND_MS + round(source.expovariate(1 / 1_200_000))
            next_silence_ms = _next(source, manner.silences_a_week / (7 * DAY_MS), at_ms + gap_ms)
        elif at_ms >= next_stall_ms:
            gap_ms += min(round(source.expovariate(1 / manner.stall_ms)), BOUND_MS // 2)
            next_stall_ms = _next(source, manner.stalls_a_day / DAY_MS, at_ms)
        at_ms += max(1, gap_ms)
        yield Publication(at_ms, at_ms - lag_ms)


def _next(source: random.Random, rate: float, after_ms: int) -> int:
    return after_ms + round(source.expovariate(rate))


def counted(bank: str, publications: Iterator[Publication]) -> Count:
    """Play a trace through the estimator as the gateway does: one limit an hour, one warning until the bank
    is in time again."""
    count = Count(bank)
    worst: dict[int, int] = {}
    before: Publication | None = None
    limit_ms, limit_hour, warned_age_ms, start_ms = None, -1, None, None
    for publication in publications:
        if before is None:
            before, start_ms = publication, publication.at_ms
            continue
        hour = publication.at_ms // HOUR_MS
        if hour != limit_hour:
            past = [worst[each] for each in range(hour - PAST_HOURS, hour) if each in worst]
            limit_ms, limit_hour = slowing_age_ms(past, BOUND_MS), hour
        peak_ms = publication.at_ms - before.watermark_ms
        if limit_ms is not None and peak_ms > limit_ms + _POLL_MS and warned_age_ms is None:
            warned_age_ms = limit_ms + _POLL_MS  # the latest check that can notice it
        known = len(worst) >= MIN_HOURS
        if peak_ms > BOUND_MS and known:
            count.silences += 1
            count.predicted += warned_age_ms is not None
            count.predicted_early += warned_age_ms is not None and warned_age_ms <= BOUND_MS // 2 + _POLL_MS
            warned_age_ms = None
        elif (
            warned_age_ms is not None
            and limit_ms is not None
            and publication.at_ms - publication.watermark_ms <= limit_ms
        ):
            count.false_alarms += 1
            warned_age_ms = None
        worst[hour] = max(worst.get(hour, 0), peak_ms)
        before = publication
    if before is not None and start_ms is not None:
        count.weeks = (before.at_ms - start_ms) / (7 * DAY_MS)
    return count


def recorded(client: LedgerClient, bank: str, to_block: int) -> Iterator[Publication]:
    """A bank's publications on a ledger."""
    for event in bank_events(client, to_block, names=("Published",)):
        if event.bank == bank:
            yield Publication(client.block_time_ms(event.block_number), published_event(event.log).watermark_ms)


@dataclass(frozen=True, slots=True)
class Sums:
    """The counts of several banks, added up."""

    silences: int
    predicted_share: float
    predicted_early_share: float
    false_alarms_a_bank_week: float


def added_up(counts: Sequence[Count]) -> Sums:
    """All banks together; shares are 0 where nothing was counted."""
    silences, weeks = max(1, sum(each.silences for each in counts)), sum(each.weeks for each in counts)
    return Sums(
        sum(each.silences for each in counts),
        sum(each.predicted for each in counts) / silences,
        sum(each.predicted_early for each in counts) / silences,
        sum(each.false_alarms for each in counts) / weeks if weeks else 0.0,
    )


def all_counted(weeks: int, seed: int) -> Sums:
    """The generated banks, counted."""
    return added_up([counted(manner.name, generated(manner, weeks, seed)) for manner in MANNERS])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weeks", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ledger")
    parser.add_argument("--contract")
    given = parser.parse_args()
    if given.ledger:
        client = LedgerClient(given.ledger, given.contract)
        block = client.block_number()
        counts = [counted(bank, recorded(client, bank, block)) for bank in known_banks(client, block)]
    else:
        counts = [counted(manner.name, generated(manner, given.weeks, given.seed)) for manner in MANNERS]
    document = {**asdict(added_up(counts)), "banks": [asdict(each) for each in counts]}
    print(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
