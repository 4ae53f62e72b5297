"""The distribution of ages as a picture: which share of the answers was at most how old."""

from raftreg.verify.report.svg import Scale, drawing, line, polyline, seconds, text
from raftreg.verify.staleness import Staleness

WIDTH, HEIGHT, LEFT, RIGHT, TOP = 1180.0, 190.0, 92.0, 12.0, 12.0
SHORTEST_S, LONGEST_S = 0.0001, 10.0


def ages(staleness: Staleness) -> str:
    """A cumulative curve over a logarithmic axis of ages; nothing without answers."""
    found = staleness.ages_s
    if not found:
        return ""
    longest = max(0.01, min(LONGEST_S, found[-1] * 1.2))
    x = Scale(SHORTEST_S, longest, LEFT, WIDTH - RIGHT, is_log=True)
    fresh = sum(1 for age in found if age <= SHORTEST_S) / len(found)
    low = max(0.0, int((fresh - 0.02) * 10) / 10)
    y = Scale(low, 1.0, HEIGHT, TOP)
    parts: list[str] = []
    for tick in y.ticks(5):
        parts.append(line(LEFT, y(tick), WIDTH - RIGHT, y(tick), "grid"))
        parts.append(text(LEFT - 8.0, y(tick) + 4.0, f"{tick * 100:g} %", "label", "end"))
    for tick in x.ticks():
        parts.append(line(x(tick), TOP, x(tick), HEIGHT, "grid upright"))
        parts.append(text(x(tick), HEIGHT + 16.0, seconds(tick), "label", "middle"))
    points = [(LEFT, y(fresh))]
    for number, age in enumerate(found):
        if age > SHORTEST_S:
            points += [(x(age), points[-1][1]), (x(age), y((number + 1) / len(found)))]
    points.append((WIDTH - RIGHT, points[-1][1]))
    parts.append(polyline(points, "line-p50"))
    parts.append(text(WIDTH - RIGHT, HEIGHT + 31.0, "age of the answer at most", "label", "end"))
    return drawing(WIDTH, HEIGHT + 36.0, parts, "Share of ?stale answers by age")
