"""One self-contained page: goals, figures, pictures, and what machine it was."""

import html
import re
from pathlib import Path

from bench.harness.figures import UP, Results
from bench.harness.goals import OURS, judge
from bench.harness.plots import draw
from bench.harness.table import goal_row, number, ratio_text

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1f2937; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem } h2 { font-size: 1.2rem; margin-top: 2.5rem; border-bottom: 1px solid #e5e7eb }
table { border-collapse: collapse; width: 100%; font-size: 13px; margin: 1rem 0 }
th, td { text-align: left; padding: .25rem .5rem; border-bottom: 1px solid #f3f4f6; vertical-align: top }
th { border-bottom: 1px solid #9ca3af }
td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
.reached { color: #15803d } .missed { color: #b91c1c; font-weight: 600 } .unknown { color: #6b7280 }
figure { margin: 1.5rem 0 } figure svg { max-width: 100%; height: auto } figcaption { font-weight: 600 }
.failure { color: #b91c1c; font-weight: 600; overflow-wrap: anywhere }
dt { float: left; clear: left; width: 8rem; color: #6b7280 }
nav a { margin-right: 1rem }
"""


def write_report(results: Results, folder: Path) -> None:
    """report.html, and the pictures in plots/."""
    pictures = draw(results, folder / "plots")
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width'><title>raftreg: benchmarks</title>",
        f"<style>{STYLE}</style><h1>raftreg: benchmarks</h1>",
        "<nav><a href='#goals'>goals</a><a href='#figures'>figures</a><a href='#pictures'>pictures</a></nav>",
        _machine(results),
        *(f"<p class=failure>{html.escape(line)}</p>" for line in results.failures),
        *(f"<p class=unknown>not measured: {html.escape(line)}</p>" for line in results.missing),
        "<h2 id=goals>Goals</h2><p>Ratios of this run; in brackets the least and the greatest.</p>",
        _goals(results),
        "<h2 id=figures>Figures</h2><p>Medians of the rounds.</p>",
        _figures(results),
        "<h2 id=pictures>Pictures</h2>",
        _contents(pictures),
        *(_picture(title, path, place) for place, (title, path) in enumerate(pictures)),
        "</html>",
    ]
    (folder / "report.html").write_text("\n".join(parts), "utf-8")


def _machine(results: Results) -> str:
    items = "".join(
        f"<dt>{html.escape(name)}</dt><dd>{html.escape(text)}</dd>" for name, text in results.machine.items()
    )
    return f"<dl>{items}</dl>"


def _table(head: list[str], rows: list[str]) -> str:
    titles = "".join(f"<th>{html.escape(title)}</th>" for title in head)
    return f"<table><tr>{titles}</tr>{''.join(rows)}</table>"


def _cells(texts: list[str], numbers: frozenset[int], classes: dict[int, str] | None = None) -> str:
    cells = ""
    for place, text in enumerate(texts):
        kind = (classes or {}).get(place, "n" if place in numbers else "")
        cells += f"<td{f' class={kind}' if kind else ''}>{html.escape(text)}</td>"
    return f"<tr>{cells}</tr>"


def _goals(results: Results) -> str:
    rows = []
    for verdict in judge(results):
        kind = {True: "reached", False: "missed", None: "unknown"}[verdict.reached]
        rows.append(_cells(goal_row(verdict), frozenset({1, 3, 4}), {5: kind}))
    if not rows:
        return "<p>No goal is about what was run.</p>"
    return _table(["figure", OURS, "peer", "ratio", "goal", ""], rows)


def _figures(results: Results) -> str:
    targets = results.targets()
    peers = [name for name in targets if name != OURS] if OURS in targets else []
    rows = []
    for key in results.measured():
        example = next(figure for figure in results.figures if figure.key == key)
        cells = [" / ".join(key), *(number(results.median(key, target)) for target in targets)]
        for peer in peers:
            ratios = results.ratios(key, OURS, peer)
            cells.append(ratio_text(ratios))
        cells.append(f"{example.unit}, {'more' if example.better == UP else 'less'} is better")
        rows.append(_cells(cells, frozenset(range(1, len(cells) - 1))))
    return _table(["figure", *targets, *(f"{OURS}/{peer}" for peer in peers), ""], rows)


def _contents(pictures: list[tuple[str, Path]]) -> str:
    """A link to each picture."""
    links = "".join(
        f"<li><a href='#picture{place}'>{html.escape(title)}</a>" for place, (title, _) in enumerate(pictures)
    )
    return f"<details><summary>{len(pictures)} pictures</summary><ol>{links}</ol></details>"


def _picture(title: str, path: Path, place: int) -> str:
    """The SVG in the page. Its ids are made unique: two pictures on one page must not share them."""
    svg = path.read_text("utf-8")
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'id="', f'id="p{place}-', svg)
    svg = re.sub(r"(url\(#|href=\"#)", rf"\g<1>p{place}-", svg)
    return f"<figure id=picture{place}><figcaption>{html.escape(title)}</figcaption>{svg}</figure>"
