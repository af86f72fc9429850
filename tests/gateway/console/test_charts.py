"""Charts as numbers: gaps, silent spans, the bound, bars."""

from standing.gateway.console.charts import HEIGHT, WIDTH, AgeChart, Span, age_chart, stacked_bars

_STEP_MS = 60_000


def chart(**ages_ms: int) -> AgeChart:
    """Ten minutes with a bound of a minute; `m3=500` is an age in the third minute."""
    ages = {int(name[1:]) * _STEP_MS: age for name, age in ages_ms.items()}
    return age_chart(ages, begins_ms=0, ends_ms=10 * _STEP_MS, step_ms=_STEP_MS, bound_ms=60_000)


def test_a_line_breaks_where_there_is_no_measurement() -> None:
    found = chart(m0=0, m1=60_000, m5=0, m6=0)
    assert found.lines == (f"30,{HEIGHT} 90,{HEIGHT // 2}", f"330,{HEIGHT} 390,{HEIGHT}")
    assert found.unseen == (Span(120, 180), Span(420, 180))


def test_silence_begins_above_the_bound_and_not_at_it() -> None:
    assert chart(m0=60_000).silent == ()
    found = chart(m0=60_001, m1=10**9, m2=5)
    assert found.silent == (Span(0, 2 * WIDTH // 10),)
    assert found.worst_ms == 10**9
    assert found.lines[0].split()[1].endswith(",0"), "an age beyond twice the bound touches the top"


def test_a_single_minute_is_still_drawn_and_an_empty_day_is_all_gap() -> None:
    assert chart(m3=0).lines == (f"210,{HEIGHT} 210,{HEIGHT}",)
    assert (chart().lines, chart().unseen, chart().worst_ms) == ((), (Span(0, WIDTH),), None)


def test_bars_are_stacked_and_one_among_thousands_is_visible() -> None:
    bars = stacked_bars([{"approve": 10_000, "decline": 1}, {}], ["approve", "decline"])
    assert [bar.kind for bar in bars] == ["approve", "decline"]
    assert bars[0].y + bars[0].height == HEIGHT
    assert bars[1].height == 2
    assert all(bar.y >= 0 and bar.x + bar.width <= WIDTH // 2 for bar in bars)
