"""The picture of a run: calls per second, latency, the role of every node, and the faults over all of it."""

from collections import defaultdict
from itertools import pairwise

from raftreg.verify.drive import Run
from raftreg.verify.record import Call, FaultEvent, NodeSample
from raftreg.verify.report.svg import Scale, area, box, drawing, line, polyline, seconds, text

WIDTH, LEFT, RIGHT = 1180.0, 92.0, 12.0
LABEL_ROW = 13.0
CALLS_HEIGHT, LATENCY_HEIGHT, NODE_HEIGHT, GAP = 120.0, 120.0, 18.0, 40.0
BUCKETS_MAX = 240
LATENCIES_S = (0.0003, 10.0)


def quantile(ordered: list[float], share: float) -> float:
    """The value that this share of them does not exceed."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Timeline:
    """Lays one run out from top to bottom, all over one axis of time."""

    def __init__(self, run: Run) -> None:
        self._record, self._nodes = run.record, run.nodes
        self._done = [fault for fault in run.record.faults if not fault.problem]
        self._length_s = max(0.1, run.record.ended_s - run.record.began_s)
        self._x = Scale(0.0, self._length_s, LEFT, WIDTH - RIGHT)
        self._parts: list[str] = []
        count = max(1, min(BUCKETS_MAX, int(self._length_s * 4)))
        self._width_s = self._length_s / count
        self._buckets: list[list[Call]] = [[] for _ in range(count)]
        for call in run.record.calls:
            at = int((call.returned_s - run.record.began_s) / self._width_s)
            if 0 <= at < count:
                self._buckets[at].append(call)

    def draw(self) -> str:
        """The whole picture."""
        labels, rows = self._fault_labels()
        top = rows * LABEL_ROW + 14.0
        calls_top = top + 14.0
        latency_top = calls_top + CALLS_HEIGHT + GAP
        nodes_top = latency_top + LATENCY_HEIGHT + GAP
        bottom = nodes_top + len(self._nodes) * (NODE_HEIGHT + 4.0)
        self._bands(top - 6.0, bottom)
        self._parts += labels
        self._calls(calls_top)
        self._latency(latency_top)
        self._roles(nodes_top)
        self._axis(calls_top, bottom)
        return drawing(
            WIDTH, bottom + 36.0, self._parts, "Calls, latency, roles of the nodes and faults by time"
        )

    def _at(self, moment_s: float) -> float:
        return self._x(moment_s - self._record.began_s)

    def _end(self, fault: FaultEvent) -> float:
        return fault.until_s if fault.until_s is not None else self._record.ended_s

    # Faults.

    def _bands(self, top: float, bottom: float) -> None:
        for fault in self._done:
            start, end = self._at(fault.since_s), self._at(self._end(fault))
            self._parts.append(box(start, top, max(1.5, end - start), bottom - top, "fault", fault.text))

    def _fault_labels(self) -> tuple[list[str], int]:
        """Each label begins above its band, in the first row with room; how many rows there are."""
        free: list[float] = []
        labels = []
        for number, fault in enumerate(self._record.faults, 1):
            if fault.problem:
                continue
            words = f"{number} {fault.kind}"
            start = min(self._at(fault.since_s), WIDTH - RIGHT - len(words) * 5.6)
            row = next((row for row, taken in enumerate(free) if taken < start), len(free))
            free[row : row + 1] = [start + len(words) * 5.6 + 6.0]
            labels.append(text(start, 10.0 + row * LABEL_ROW, words, "label faulty", hint=fault.text))
        return labels, len(free)

    # Lanes.

    def _title(self, top: float, words: str, legend: list[tuple[str, str]]) -> None:
        self._parts.append(text(LEFT, top - 7.0, words, "title"))
        x = LEFT + len(words) * 6.6 + 18.0
        for class_, meaning in legend:
            self._parts.append(box(x, top - 15.0, 10.0, 9.0, class_))
            self._parts.append(text(x + 14.0, top - 7.0, meaning, "label"))
            x += 26.0 + len(meaning) * 6.0

    def _calls(self, top: float) -> None:
        rates = [
            [sum(1 for call in bucket if call.ok is ok) / self._width_s for ok in (True, False, None)]
            for bucket in self._buckets
        ]
        most = max((sum(rate) for rate in rates), default=1.0) or 1.0
        y = Scale(0.0, most * 1.05, top + CALLS_HEIGHT, top)
        self._title(
            top,
            "calls per second",
            [("answered", "answered"), ("refused", "not taken"), ("unknown", "outcome unknown")],
        )
        self._grid(y, [(tick, f"{tick:,.0f}") for tick in y.ticks(4)])
        for layer, class_ in ((3, "unknown"), (2, "refused"), (1, "answered")):
            points = [
                (self._x((number + side) * self._width_s), y(sum(rate[:layer])))
                for number, rate in enumerate(rates)
                for side in (0, 1)
            ]
            self._parts.append(area(points, y(0.0), class_))

    def _latency(self, top: float) -> None:
        y = Scale(*LATENCIES_S, top + LATENCY_HEIGHT, top, is_log=True)
        self._title(
            top,
            "latency of answered calls",
            [("line-p50", "median"), ("line-p99", "99 %"), ("line-max", "longest")],
        )
        self._grid(y, [(tick, seconds(tick)) for tick in y.ticks()])
        spans = [
            sorted(call.returned_s - call.invoked_s for call in bucket if call.ok) for bucket in self._buckets
        ]
        for share, class_ in ((1.0, "line-max"), (0.99, "line-p99"), (0.5, "line-p50")):
            run: list[tuple[float, float]] = []
            for number, found in enumerate([*spans, []]):
                if found:
                    run.append((self._x((number + 0.5) * self._width_s), y(quantile(found, share))))
                else:  # Nothing was answered here: the line has a gap.
                    self._parts.append(polyline(run, class_))
                    run = []

    def _roles(self, top: float) -> None:
        legend = [
            ("leader", "leads"),
            ("follower", "follows"),
            ("candidate", "candidate"),
            ("silent", "silent"),
        ]
        self._title(top, "nodes", legend)
        samples: defaultdict[str, list[NodeSample]] = defaultdict(list)
        for sample in self._record.samples:
            samples[sample.node].append(sample)
        for row, node in enumerate(self._nodes):
            y = top + row * (NODE_HEIGHT + 4.0)
            self._parts.append(text(LEFT - 8.0, y + 13.0, node, "label", "end"))
            self._role_row(y, samples[node])

    def _role_row(self, y: float, samples: list[NodeSample]) -> None:
        """Boxes of one role each; a new term is written where its leader begins."""
        inside = [each for each in samples if each.at_s <= self._record.ended_s]
        runs: list[tuple[NodeSample, float]] = []
        for before, after in pairwise([*inside, None]):
            assert before is not None
            end = after.at_s if after is not None else self._record.ended_s
            same = runs and (runs[-1][0].role, runs[-1][0].term) == (before.role, before.term)
            runs[-1:] = [(runs[-1][0], end)] if same else [*runs[-1:], (before, end)]
        for sample, until_s in runs:
            start, end = self._at(sample.at_s), self._at(until_s)
            hint = f"{sample.node}: {sample.role}, term {sample.term}"
            known = sample.role if sample.role in ("leader", "follower", "candidate") else "silent"
            self._parts.append(box(start, y, end - start, NODE_HEIGHT, known, hint))
            words = f"term {sample.term}"
            if known == "leader" and end - start > len(words) * 5.6 + 6.0:
                self._parts.append(text(start + 4.0, y + 13.0, words, "label on-leader"))

    # Axes.

    def _grid(self, y: Scale, ticks: list[tuple[float, str]]) -> None:
        for value, words in ticks:
            self._parts.append(line(LEFT, y(value), WIDTH - RIGHT, y(value), "grid"))
            self._parts.append(text(LEFT - 8.0, y(value) + 4.0, words, "label", "end"))

    def _axis(self, top: float, bottom: float) -> None:
        for tick in self._x.ticks(12):
            self._parts.append(line(self._x(tick), top, self._x(tick), bottom, "grid upright"))
            self._parts.append(text(self._x(tick), bottom + 16.0, f"{tick:g}", "label", "middle"))
        self._parts.append(
            text(WIDTH - RIGHT, bottom + 31.0, "seconds from the beginning of the load", "label", "end")
        )
