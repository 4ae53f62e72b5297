"""The figures and the goals as text."""

from collections.abc import Sequence

from bench.harness.figures import UP, Results
from bench.harness.goals import OURS, Verdict, judge
from bench.harness.stats import median


def print_table(results: Results) -> None:
    """All figures, a column per target, then the goals."""
    targets = results.targets()
    peers = [name for name in targets if name != OURS]
    titles = ["", *targets, *(f"{OURS}/{peer}" for peer in peers if OURS in targets), ""]
    rows = [titles]
    for key in results.measured():
        example = next(figure for figure in results.figures if figure.key == key)
        row = [" / ".join(key)]
        row += [number(results.median(key, target)) for target in targets]
        for peer in peers if OURS in targets else ():
            ratios = results.ratios(key, OURS, peer)
            row.append(ratio_text(ratios))
        rows.append([*row, f"{example.unit}{' (more is better)' if example.better == UP else ''}"])
    print_columns(rows)
    if goals := list(map(goal_row, judge(results))):
        print("\nGoals (ratios of the same run)")
        print_columns([["", OURS, "peer", "ratio", "goal", ""], *goals])
    for line in results.missing:
        print(f"not measured: {line}")
    for line in results.failures:
        print(f"FAILED: {line}")


def print_columns(rows: list[list[str]]) -> None:
    """Columns as wide as what is in them."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def goal_row(verdict: Verdict) -> list[str]:
    """One goal as texts: what, ours, the peer's, the ratio, the bound, how it came out."""
    goal, ours = verdict.goal, verdict.ours
    sign = ">=" if goal.metric == "rate" else "<="
    outcome = {True: "reached", False: "MISSED", None: ""}[verdict.reached]
    outcome += f"{', ' if outcome and verdict.why else ''}{verdict.why}"
    peer = f"{verdict.peer} {number(verdict.peer_value)}" if verdict.peer else ""
    value = f"{number(verdict.value)} {ours.unit}" if ours else ""
    ratio = ratio_text(verdict.ratios)
    return [" / ".join(goal.key), value, peer, ratio, f"{sign} {goal.bound:g}", outcome]


def ratio_text(ratios: Sequence[float]) -> str:
    """The median, and in brackets the least and the greatest."""
    if not ratios:
        return ""
    around = f" ({min(ratios):.2f} to {max(ratios):.2f})" if len(ratios) > 1 else ""
    return f"{median(ratios):.2f}{around}"


def number(value: float | None) -> str:
    """Three significant digits, thousands separated."""
    if value is None:
        return ""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
