"""Charts as plain numbers, for inline SVG. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 600, 120


@dataclass(frozen=True, slots=True)
class Span:
    """A horizontal section of the chart."""

    x: int
    width: int


@dataclass(frozen=True, slots=True)
class AgeChart:
    """A bank's staleness over time; higher is older. `bound_y`: the height of the policy's bound.

    `lines`: the points of each stretch without a gap; `silent`: where staleness was above the bound; `unseen`: where
    nothing was observed.
    """

    lines: tuple[str, ...]
    bound_y: int
    silent: tuple[Span, ...]
    unseen: tuple[Span, ...]
    worst_ms: int | None


def age_chart(ages_ms: Mapping[int, int], *, begins_ms: int, ends_ms: int, step_ms: int, bound_ms: int) -> AgeChart:
    """A chart of `ages_ms`, a mapping from time to staleness, in steps; each step shows its worst value.

    The scale ends at twice the bound; anything older touches the top.
    """
    steps = max(1, (ends_ms - begins_ms) // step_ms)
    worst: list[int | None] = [None] * steps
    for at_ms, age_ms in ages_ms.items():
        step = (at_ms - begins_ms) // step_ms
        if 0 <= step < steps:
            worst[step] = max(age_ms, worst[step] or 0)
    lines: list[list[str]] = [[]]
    for step, shown_ms in enumerate(worst):
        if shown_ms is None:
            lines.append([])
        else:
            x = round((step + 0.5) * WIDTH / steps)
            lines[-1].append(f"{x},{HEIGHT - min(HEIGHT, shown_ms * HEIGHT // (2 * bound_ms))}")
    return AgeChart(
        lines=tuple(" ".join(line if len(line) > 1 else line * 2) for line in lines if line),
        bound_y=HEIGHT // 2,
        silent=_spans([age_ms is not None and age_ms > bound_ms for age_ms in worst]),
        unseen=_spans([age_ms is None for age_ms in worst]),
        worst_ms=max((age_ms for age_ms in worst if age_ms is not None), default=None),
    )


def _spans(marked: Sequence[bool]) -> tuple[Span, ...]:
    spans: list[Span] = []
    began: int | None = None
    for step, is_marked in enumerate([*marked, False]):
        if is_marked and began is None:
            began = step
        elif not is_marked and began is not None:
            x = began * WIDTH // len(marked)
            spans.append(Span(x, max(1, step * WIDTH // len(marked) - x)))
            began = None
    return tuple(spans)


@dataclass(frozen=True, slots=True)
class Bar:
    """A segment of a stacked bar. `kind`: an outcome."""

    kind: str
    x: int
    y: int
    width: int
    height: int


def stacked_bars(counts: Sequence[Mapping[str, int]], kinds: Sequence[str]) -> tuple[Bar, ...]:
    """Stacked bars side by side, one for each of `counts`; the highest bar is as high as the chart."""
    highest = max((sum(each.values()) for each in counts), default=0) or 1
    bars: list[Bar] = []
    for index, each in enumerate(counts):
        x, end = index * WIDTH // len(counts), (index + 1) * WIDTH // len(counts)
        y = HEIGHT
        for kind in kinds:
            # A single occurrence among thousands stays visible, too.
            height = max(2, each.get(kind, 0) * HEIGHT // highest) if each.get(kind) else 0
            y = max(0, y - height)
            if height:
                bars.append(Bar(kind, x + 1, y, max(1, end - x - 2), height))
    return tuple(bars)
