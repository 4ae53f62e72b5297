"""What a run found: figures, one per workload, case, metric, target and round."""

import csv
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.harness.stats import median

UP = "more is better"
DOWN = "less is better"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number. `curve` is the distribution behind it, as (share, value), where there is one."""

    workload: str
    case: str
    metric: str
    unit: str
    better: str
    value: float
    target: str = ""
    round: int = 0
    curve: tuple[tuple[float, float], ...] = ()

    @property
    def key(self) -> tuple[str, str, str]:
        """What is compared between targets."""
        return self.workload, self.case, self.metric


@dataclass(slots=True)
class Results:
    """All figures of a run, and what was run. `timelines` are those of single failovers, for the report."""

    machine: dict[str, str]
    options: dict[str, Any]
    missing: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    timelines: list[dict[str, Any]] = field(default_factory=list)

    def targets(self) -> list[str]:
        """The targets in the order in which they were first measured."""
        return list(dict.fromkeys(figure.target for figure in self.figures))

    def measured(self) -> list[tuple[str, str, str]]:
        """What was measured, in order."""
        return list(dict.fromkeys(figure.key for figure in self.figures))

    def of(self, key: tuple[str, str, str], target: str) -> list[Figure]:
        """The figures of one target, a round each."""
        return [figure for figure in self.figures if figure.key == key and figure.target == target]

    def median(self, key: tuple[str, str, str], target: str) -> float | None:
        """The median over the rounds; None if it was not measured."""
        found = self.of(key, target)
        return median([figure.value for figure in found]) if found else None

    def ratios(self, key: tuple[str, str, str], target: str, other: str) -> list[float]:
        """target/other in each round that both were measured in."""
        others = {figure.round: figure.value for figure in self.of(key, other)}
        return [
            figure.value / others[figure.round] for figure in self.of(key, target) if others.get(figure.round)
        ]

    def write(self, folder: Path) -> None:
        """results.json and results.csv."""
        text = json.dumps(asdict(self), indent=1)
        (folder / "results.json").write_text(text + "\n", "utf-8")
        with (folder / "results.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            columns = ("workload", "case", "metric", "target", "round", "value", "unit", "better")
            writer.writerow(columns)
            writer.writerows([getattr(figure, column) for column in columns] for figure in self.figures)

    @classmethod
    def read(cls, path: Path) -> "Results":
        """What `write` wrote. `path` is the folder or its results.json."""
        raw = json.loads((path / "results.json" if path.is_dir() else path).read_text("utf-8"))
        figures = [
            Figure(**{**row, "curve": tuple((share, value) for share, value in row["curve"])})
            for row in raw["figures"]
        ]
        return cls(**{**raw, "figures": figures})


def rows_of(figures: Iterable[Figure], target: str, round_: int) -> list[Figure]:
    """The figures of a workload, marked with whose they are, unless they say so."""
    return [
        Figure(f.workload, f.case, f.metric, f.unit, f.better, f.value, f.target or target, round_, f.curve)
        for f in figures
    ]
