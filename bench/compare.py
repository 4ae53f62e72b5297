"""Two results of `python -m bench`: what became better or worse by more than their noise.

    python -m bench.compare OLD NEW          folders or results.json files; exit code 1 if something became worse

The noise of a figure is what its rounds differ by, in either result, and 5 % at least.
"""

import argparse
import sys
from pathlib import Path

from bench.harness.figures import UP, Results
from bench.harness.table import number, print_columns

NOISE_MIN = 0.05


def main() -> int:
    """Print the table; the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    options = parser.parse_args()
    rows = compare(Results.read(options.old), Results.read(options.new))
    print_columns([["figure", "target", "old", "new", "change", "noise", ""], *rows])
    return 1 if any(row[-1] == "WORSE" for row in rows) else 0


def compare(old: Results, new: Results) -> list[list[str]]:
    """A row for each figure that both have."""
    rows = []
    for key in new.measured():
        for target in new.targets():
            before, after = old.median(key, target), new.median(key, target)
            if not before or after is None:
                continue
            noise = max(NOISE_MIN, _noise(old, key, target), _noise(new, key, target))
            change = after / before - 1
            better = next(figure for figure in new.figures if figure.key == key).better == UP
            said = "" if abs(change) <= noise else "better" if (change > 0) == better else "WORSE"
            texts = [number(before), number(after), f"{change:+.1%}", f"{noise:.0%}", said]
            rows.append([" / ".join(key), target, *texts])
    return rows


def _noise(results: Results, key: tuple[str, str, str], target: str) -> float:
    """How far the rounds are from their median, at most."""
    middle = results.median(key, target)
    values = [figure.value for figure in results.of(key, target)]
    return max(abs(value / middle - 1) for value in values) if middle else 0.0


if __name__ == "__main__":
    sys.exit(main())
