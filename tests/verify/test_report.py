"""The page: self-contained, readable by program, and scales that end where they should."""

import itertools
from html.parser import HTMLParser

import pytest

from raftreg.checkers.history import Operation
from raftreg.verify.options import WORKLOADS, Options
from raftreg.verify.report import page
from raftreg.verify.report.histories import SHOWN_MAX, history
from raftreg.verify.report.svg import Scale, seconds, tag
from raftreg.verify.run import verify
from raftreg.verify.staleness import Staleness
from raftreg.verify.summary import document
from tests.verify.server import Cluster
from tests.verify.test_planted_bugs import SOME_URL


class Elements(HTMLParser):
    """Counts elements, and fails where one is not closed properly."""

    VOID = frozenset({"meta"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.counts: dict[str, int] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """One opens."""
        self.counts[tag] = self.counts.get(tag, 0) + 1
        assert all(name not in ("href", "src") for name, _ in attrs), (tag, attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """One is empty."""
        self.counts[tag] = self.counts.get(tag, 0) + 1

    def handle_endtag(self, tag: str) -> None:
        """One closes."""
        assert tag == self.open.pop(), tag


def test_the_page_needs_nothing_but_itself() -> None:
    """Well-formed, with pictures, without links; a row for each check; the JSON says the same."""
    options = Options(0.5, urls={"n1": SOME_URL}, workloads=WORKLOADS, rate=0.0, clients=8, settle_s=0.5)
    finished = verify(options, Cluster("lost-write"), lambda progress: None)
    text = page(finished.run, finished.verdicts, finished.staleness)
    elements = Elements(text)
    assert [] == elements.open
    assert elements.counts["svg"] >= 2
    assert "url(" not in text
    assert "@import" not in text
    told = document(finished.run, finished.verdicts, finished.staleness)
    assert "FAIL" == told["verdict"]
    assert len(finished.verdicts) == len(told["checks"]) == text.count('<span class="badge')
    (broken,) = [check for check in told["checks"] if check["outcome"] == "FAIL"]
    assert {"client", "kind", "key", "argument", "result", "invoked", "returned", "ok"} == set(
        broken["proof"][0]
    )


def call(client: int, begin: float, end: float | None) -> Operation:
    """One write."""
    return Operation(client, "write", "k", "a<b", None, begin, end, None if end is None else True)


def test_a_history_is_drawn_with_open_ends_and_without_markup_of_others() -> None:
    """Calls without an answer reach to the end; what was written is text."""
    drawn = history([call(1, 0.0, 1.0), call(2, 0.5, None)], 0.0)
    assert 2 == drawn.count("call-open") + drawn.count("culprit")
    assert "a&lt;b" in drawn
    assert "a<b" not in drawn


def test_of_a_long_history_the_end_is_drawn() -> None:
    """And it says what is left out."""
    drawn = history([call(number % 5, number, number + 0.5) for number in range(100)], 0.0)
    assert f"{100 - SHOWN_MAX} earlier calls" in drawn


@pytest.mark.parametrize(("low", "high"), [(0.0, 30.0), (3.2, 3.9), (0.0, 1.0), (0.0, 12_345.0)])
def test_ticks_are_round_and_inside(low: float, high: float) -> None:
    """A handful of them, at equal distances."""
    ticks = Scale(low, high, 0.0, 100.0).ticks()
    steps = {round(after - before, 9) for before, after in itertools.pairwise(ticks)}
    assert 3 <= len(ticks) <= 8
    assert 1 == len(steps)
    assert low - 1e-9 <= ticks[0]
    assert ticks[-1] <= high + 1e-9


def test_a_logarithmic_scale_has_powers_of_ten() -> None:
    """Equal factors are equal distances; values outside lie at the ends."""
    scale = Scale(0.001, 1.0, 0.0, 30.0, is_log=True)
    assert [0.001, 0.01, 0.1, 1.0] == [round(tick, 6) for tick in scale.ticks()]
    assert [0.0, 10.0, 30.0] == [round(scale(value), 6) for value in (0.0, 0.01, 5.0)]


def test_values_are_escaped_and_rounded() -> None:
    """In attributes too; what is None is left out."""
    assert '<a b-c="1.5" class="&quot;"/>' == tag("a", b_c=1.5, class_='"', gone=None)
    assert ["0.3 ms", "12 ms", "1.5 s"] == [seconds(value) for value in (0.0003, 0.012, 1.5)]


def test_ages_are_given_by_quantiles() -> None:
    """Without answers there are none."""
    assert "no ?stale read was answered" == str(Staleness())
    found = Staleness((0.0, 0.0, 0.0, 0.004))
    assert (0.0, 0.004) == (found.quantile(0.5), found.quantile(0.99))
    assert "4 reads, 75.0% up to date" in str(found)
