"""The hops of one change, from the bank's core to the first decision that used it. Pure.

| hop | happened when | stated by |
| --- | --- | --- |
| `effective` | the change took effect in the bank's core | the bank, in the attestation |
| `accepted` | the bank's node had it durably | the node |
| `signed` | it was signed in a publication | the node |
| `submitted` | the publication was sent to the ledger | the node |
| `in_block` | a block held it | the block's own time, else the node |
| `observed` | this gateway's follower saw it | the gateway |
| `notified` | an endpoint of the platform accepted the event | the gateway |
| `used` | a decision was first based on it | the gateway |

The first hop counts from when the change took effect; if a request queued the attestation (a grant, a resync), from
that request, because the terms may have taken effect years before.
The wait for a block counts from the signature: a node that resubmits a publication states only the last time it did.
A payment waits for the block alone: it reads the ledger, often before the follower has seen the change or an endpoint
was notified. So `used` counts since the last hop that came before it.
Each machine states its own time, so a duration between two machines includes the difference of their clocks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from standing.gateway.support.settings import TrailSettings


class HopName(StrEnum):
    """The hops, in order."""

    EFFECTIVE = "effective"
    ACCEPTED = "accepted"
    SIGNED = "signed"
    SUBMITTED = "submitted"
    IN_BLOCK = "in_block"
    OBSERVED = "observed"
    NOTIFIED = "notified"
    USED = "used"


class HopState(StrEnum):
    """The state of a hop. `unknown`: the party that knows cannot be asked, or stated no time."""

    DONE = "done"
    WAITING = "waiting"
    STALLED = "stalled"
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "not_applicable"


@dataclass(frozen=True, slots=True)
class Hop:
    """One hop. `took_ms`: since the last hop whose time is known, until it happened, or until now where it waits.

    `expected_ms`: how long that may take; None where nothing is expected.
    """

    name: HopName
    state: HopState
    at_ms: int | None = None
    took_ms: int | None = None
    expected_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """The known facts of one change. `node_asked`: the bank's node answered about this change.

    `from_feed`: the core stated it; a binding's first attestation comes from the node itself. `queued_at_ms`: when a
    request, not the core, made the node queue it. `reports`: it caused an event that an endpoint wants. `overtaken`:
    the ledger has a newer attestation by now.
    """

    publication: int | None
    effective_at_ms: int
    node_asked: bool
    from_feed: bool = True
    on_ledger: bool = False
    queued_at_ms: int | None = None
    accepted_at_ms: int | None = None
    signed_at_ms: int | None = None
    submitted_at_ms: int | None = None
    in_block_at_ms: int | None = None
    observed_at_ms: int | None = None
    notified_at_ms: int | None = None
    used_at_ms: int | None = None
    reports: bool = True
    overtaken: bool = False


def hops_of(facts: Facts, settings: TrailSettings, now_ms: int) -> tuple[Hop, ...]:
    """All hops of a change. At most one is stalled: the first that did not happen, if it waits longer than expected."""
    times = {
        HopName.EFFECTIVE: (facts.effective_at_ms, None),
        HopName.ACCEPTED: (facts.accepted_at_ms, settings.accepted_ms),
        HopName.SIGNED: (facts.signed_at_ms, settings.signed_ms),
        HopName.SUBMITTED: (facts.submitted_at_ms, settings.submitted_ms),
        HopName.IN_BLOCK: (facts.in_block_at_ms, settings.in_block_ms),
        HopName.OBSERVED: (facts.observed_at_ms, settings.observed_ms),
        HopName.NOTIFIED: (facts.notified_at_ms, settings.notified_ms),
        HopName.USED: (facts.used_at_ms, None),
    }
    names = list(times)
    reached = max(names.index(name) for name in names if _happened(name, times[name][0], facts))
    hops: list[Hop] = []
    previous_ms = facts.effective_at_ms
    queued_ms = max(facts.effective_at_ms, facts.queued_at_ms or 0)
    blocked = False
    for index, name in enumerate(names):
        at_ms, expected_ms = times[name]
        if at_ms is not None:
            since_ms = _latest_before(at_ms, hops, previous_ms) if name is HopName.USED else previous_ms
            hops.append(Hop(name, HopState.DONE, at_ms, at_ms - since_ms, expected_ms))
            previous_ms = at_ms if name is not HopName.EFFECTIVE else queued_ms
        elif _is_left_out(name, facts):
            hops.append(Hop(name, HopState.NOT_APPLICABLE))
        elif index <= reached and name is not HopName.NOTIFIED:  # a payment does not wait for the notification
            happened = name is HopName.IN_BLOCK and facts.on_ledger
            hops.append(Hop(name, HopState.DONE if happened else HopState.UNKNOWN, expected_ms=expected_ms))
        elif not facts.node_asked and name in {HopName.ACCEPTED, HopName.SIGNED, HopName.SUBMITTED, HopName.IN_BLOCK}:
            hops.append(Hop(name, HopState.UNKNOWN, expected_ms=expected_ms))
        else:
            # A node resubmits what no block has included, and states only the last time, so the wait counts from the
            # signature.
            since_ms = facts.signed_at_ms if name is HopName.IN_BLOCK and facts.signed_at_ms else previous_ms
            waits_ms = now_ms - since_ms
            stalled = not blocked and expected_ms is not None and waits_ms > expected_ms
            state = HopState.STALLED if stalled else HopState.WAITING
            hops.append(Hop(name, state, None, None if blocked else waits_ms, expected_ms))
            blocked = True
    return tuple(hops)


def _latest_before(at_ms: int, hops: Sequence[Hop], otherwise_ms: int) -> int:
    """The time of the last of the hops that happened by `at_ms`."""
    return max((hop.at_ms for hop in hops if hop.at_ms is not None and hop.at_ms <= at_ms), default=otherwise_ms)


def _happened(name: HopName, at_ms: int | None, facts: Facts) -> bool:
    return at_ms is not None or (name is HopName.IN_BLOCK and facts.on_ledger)


def _is_left_out(name: HopName, facts: Facts) -> bool:
    """Whether a change will never reach this hop: it has none, or a newer change came first."""
    if name is HopName.ACCEPTED:
        return facts.node_asked and not facts.from_feed
    if name is HopName.NOTIFIED:
        return not facts.reports
    return facts.overtaken and name in {HopName.OBSERVED, HopName.USED}
