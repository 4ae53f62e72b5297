"""The page itself: verdict, figures, timeline, violations, tables."""

import html
import platform
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from importlib import resources

from raftreg import __version__
from raftreg.verify.drive import Run
from raftreg.verify.report.distribution import ages
from raftreg.verify.report.histories import history
from raftreg.verify.report.svg import seconds
from raftreg.verify.report.timeline import Timeline, quantile
from raftreg.verify.staleness import Staleness
from raftreg.verify.summary import headline, replay_command, tried, verdict_word
from raftreg.verify.verdict import Outcome, Verdict

LIMITS = (
    "A PASS says that nothing wrong was seen in this run; it proves nothing about what did not happen in it.",
    "The seed replays which faults come, on whom and for how long, not the timing of answers.",
    "Power cuts, disks that lie or rot, clocks that jump and more than one machine are not tried here.",
    "Latencies include the clients, which are written in Python and share the machine with nodes started here.",
)


def page(run: Run, verdicts: Sequence[Verdict], staleness: Staleness | None) -> str:
    """The whole document."""
    word = verdict_word(verdicts)
    style = resources.files("raftreg.verify.report").joinpath("style.css").read_text("utf-8")
    parts = [
        f'<header class="{word}"><div class="word">{word}</div><div><h1>{_safe(headline(run, verdicts))}</h1>'
        f'<div class="soft">{_safe(_about(run))}</div></div></header>',
        _cards(run),
        "<h2>Checks</h2>",
        _table(("", "Check", "What was seen"), [_check_row(verdict) for verdict in verdicts]),
        *_violations(run, verdicts),
        "<h2>What happened when</h2>",
        Timeline(run).draw(),
        *_faults(run),
        "<h2>Latency of answered calls</h2>",
        _latencies(run),
        *_staleness(staleness),
        "<h2>What this does not show</h2>",
        "<ul>" + "".join(f"<li>{_safe(limit)}</li>" for limit in LIMITS) + "</ul>",
        f"<p>The same faults again: <code>{_safe(replay_command(run.options))}</code></p>",
    ]
    title = f"{word}: raftreg verify"
    head = f'<meta charset="utf-8"><title>{title}</title><style>{style}</style>'
    view = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    return (
        f'<!doctype html><html lang="en"><head>{head}{view}</head><body>'
        + "\n".join(parts)
        + "</body></html>\n"
    )


def _safe(words: object) -> str:
    return html.escape(str(words))


def _about(run: Run) -> str:
    where = ", ".join(map(str, run.options.urls.values())) or "started for this run"
    machine = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    return f"{run.product}, {len(run.nodes)} nodes, {where}; raftreg verify {__version__}, {machine}"


def _cards(run: Run) -> str:
    cards = "".join(
        f'<div class="card"><b>{_safe(figure)}</b><span>{_safe(meaning)}</span></div>'
        for figure, meaning in tried(run)
    )
    return f'<div class="cards">{cards}</div>'


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], numbers: frozenset[int] = frozenset()) -> str:
    """A table; its cells are HTML already."""

    def cells(name: str, row: Sequence[str]) -> str:
        kinds = [' class="number"' if column in numbers else "" for column in range(len(row))]
        return "".join(f"<{name}{kind}>{cell}</{name}>" for kind, cell in zip(kinds, row, strict=True))

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f"<table><thead><tr>{cells('th', heads)}</tr></thead><tbody>{body}</tbody></table>"


def _check_row(verdict: Verdict) -> tuple[str, str, str]:
    badge = f'<span class="badge {verdict.outcome}">{verdict.outcome}</span>'
    return badge, _safe(verdict.check), _safe(verdict.text)


def _violations(run: Run, verdicts: Sequence[Verdict]) -> list[str]:
    broken = [verdict for verdict in verdicts if verdict.outcome is Outcome.FAIL]
    if not broken:
        return []
    parts = ["<h2>What is wrong</h2>"]
    for verdict in broken:
        parts.append(f"<h3>{_safe(verdict.check)}</h3><p>{_safe(verdict.text)}</p>")
        if verdict.proof:
            parts.append(history(verdict.proof, run.record.began_s))
    return parts


def _faults(run: Run) -> list[str]:
    if not run.record.faults:
        return ["<h2>Faults</h2><p>None were made.</p>"]
    began = run.record.began_s
    rows = [
        (
            str(number),
            f"{fault.since_s - began:.1f}",
            f"{(fault.until_s or run.record.ended_s) - fault.since_s:.1f}",
            _safe(fault.kind),
            _safe(fault.text)
            + (f' <span class="soft">({_safe(fault.problem)})</span>' if fault.problem else ""),
        )
        for number, fault in enumerate(run.record.faults, 1)
    ]
    heads = ("No.", "at s", "for s", "Kind", "What was done")
    return ["<h2>Faults</h2>", _table(heads, rows, frozenset({0, 1, 2}))]


def _latencies(run: Run) -> str:
    spans: defaultdict[tuple[str, bool], list[float]] = defaultdict(list)
    unanswered: Counter[tuple[str, bool]] = Counter()
    for call in run.record.calls:
        key = (call.workload, call.is_write)
        if call.ok:
            spans[key].append(call.returned_s - call.invoked_s)
        else:
            unanswered[key] += 1
    rows = []
    for key in sorted({*spans, *unanswered}):
        found = sorted(spans[key])
        marks = [seconds(quantile(found, share)) if found else "-" for share in (0.5, 0.9, 0.99, 1.0)]
        kind = "write" if key[1] else "read"
        rows.append((_safe(key[0]), kind, f"{len(found):,}", *marks, f"{unanswered[key]:,}"))
    heads = ("Workload", "Kind", "Answered", "p50", "p90", "p99", "longest", "not answered")
    return _table(heads, rows, frozenset({2, 3, 4, 5, 6, 7}))


def _staleness(staleness: Staleness | None) -> list[str]:
    if staleness is None or not staleness.ages_s:
        return []
    said = f"For how long something newer had been acknowledged when the answer was asked for: {staleness}."
    return ["<h2>How old ?stale answers were</h2>", f"<p>{_safe(said)}</p>", ages(staleness)]
