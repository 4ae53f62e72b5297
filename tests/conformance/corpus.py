"""The scenarios: files of JSON in `recorded/` and `own/`, and how many of them are replayed at once."""

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.conformance.matching import Mismatch
from tests.conformance.replay import Replay, Scenario, Target

HERE = Path(__file__).resolve().parent
FOLDERS = ("recorded", "own")
JOBS = 24  # scenarios wait most of the time


def load(*folders: str) -> dict[str, Scenario]:
    """All scenarios by id; two of one id are an error."""
    found: dict[str, Scenario] = {}
    for folder in folders or FOLDERS:
        for path in sorted((HERE / folder).glob("*.json")):
            for scenario in json.loads(path.read_text(encoding="utf-8"))["scenarios"]:
                assert scenario["id"] not in found, f"{path.name}: {scenario['id']} is there twice"
                found[scenario["id"]] = scenario
    return found


def replay_all(scenarios: Iterable[Scenario], targets: list[Target], jobs: int = JOBS) -> dict[str, str]:
    """What differed, by id; empty text for a scenario that held.

    They begin on the nodes in turn. Those marked `exclusive` run alone, after all others; slow ones begin first.
    """
    numbered = sorted(enumerate(scenarios), key=lambda pair: not pair[1].get("slow"))
    together = [pair for pair in numbered if not pair[1].get("exclusive")]
    alone = [pair for pair in numbered if pair[1].get("exclusive")]

    def outcome(pair: tuple[int, Scenario]) -> tuple[str, str]:
        first, scenario = pair
        try:
            Replay(scenario, targets, first).run()
        except Mismatch as error:
            return scenario["id"], f"{scenario['title']}: {error}"
        return scenario["id"], ""

    with ThreadPoolExecutor(jobs) as pool:
        found = dict(pool.map(outcome, together))
    return found | dict(map(outcome, alone))
