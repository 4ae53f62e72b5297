#!/usr/bin/env python3
"""Two results of `python -m bench`: what became better or worse by more than their noise.

    bench/compare.py OLD NEW          folders or results.json files; exit code 1 if something became worse

The noise of a figure is what its rounds differ by, in either result, and 5 % at least; 25 % if both have but one
round. Exit code 2 if there is nothing to compare.
"""

import argparse
import json
import sys
from pathlib import Path

if __package__ in (None, ""):  # Run as a file: the packages of this clone are one folder up.
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.harness.figures import UP, Results
from bench.harness.stats import median
from bench.harness.table import number, print_columns

NOISE_MIN = 0.05
NOISE_OF_ONE = 0.25  # where each result has one round only, which says nothing about noise


def main() -> int:
    """Print the table; the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    options = parser.parse_args()
    old, new = (_read(parser, path) for path in (options.old, options.new))
    rows = compare(old, new)
    if not rows:
        parser.error("the two have no figure in common")
    print_columns([["figure", "target", "old", "new", "change", "noise", ""], *rows])
    worse = [row for row in rows if row[-1] == "WORSE"]
    print(
        f"\n{len(rows)} figures compared, {len(worse)} worse by more than their noise"
        + (":" if worse else "")
    )
    for row in worse:
        print(f"  {row[0]} at {row[1]}: {row[2]} -> {row[3]} ({row[4]}, noise {row[5]})")
    return 1 if worse else 0


def _read(parser: argparse.ArgumentParser, path: Path) -> Results:
    try:
        return Results.read(path)
    except OSError as error:
        parser.error(f"{error.filename}: {error.strerror}: give a folder that bench/run.sh wrote")
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        parser.error(f"{path} is no result of bench/run.sh: {error}")


def compare(old: Results, new: Results) -> list[list[str]]:
    """A row for each figure that both have."""
    rows = []
    for key in new.measured():
        for target in new.targets():
            before, after = old.median(key, target), new.median(key, target)
            if not before or after is None:
                continue
            noise = _noise(old, new, key, target)
            change = after / before - 1
            better = next(figure for figure in new.figures if figure.key == key).better == UP
            said = "" if abs(change) <= noise else "better" if (change > 0) == better else "WORSE"
            texts = [number(before), number(after), f"{change:+.1%}", f"{noise:.0%}", said]
            rows.append([" / ".join(key), target, *texts])
    return rows


def _noise(old: Results, new: Results, key: tuple[str, str, str], target: str) -> float:
    """How far rounds are from the median of their result, at most."""
    rounds = [[figure.value for figure in results.of(key, target)] for results in (old, new)]
    if all(len(values) < 2 for values in rounds):
        return NOISE_OF_ONE
    spread = [abs(value / median(values) - 1) for values in rounds if median(values) for value in values]
    return max(NOISE_MIN, *spread)


if __name__ == "__main__":
    sys.exit(main())
