"""Fills in what a real server answers: python -m tests.conformance.record --base URL [--dns HOST:PORT] FILE...

A scenario is written without `expect`; each file is read, its steps without one are asked of the server, and what
came goes into the file. What differs from run to run is generalised: indexes become relations to earlier
indexes, the random token, captured values and facts of the node become variables, new ids become `$uuid`. Of lists and
objects that hold what other scenarios wrote only the own part is kept. Read the result before it goes in.
"""

import argparse
import json
import re
from pathlib import Path
from typing import Any

from tests.conformance.http_client import Answer
from tests.conformance.matching import Mismatch
from tests.conformance.replay import Replay, Scenario, Step, Target

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_INDEXES = ("CreateIndex", "ModifyIndex")
_SYNTAX_ERROR = re.compile("Failed to create boolean expression evaluator: (?=[0-9]+:)")
_SHOWN_MAX = 16_384  # bytes of a body that go into the file
_TOLD_INDEX = "current modify index "
_SHARED = ("/v1/session/list", "/v1/session/node/${node}", "/v1/catalog/nodes", "/v1/catalog/services")
_UNORDERED = ("/v1/catalog/services", "/v1/agent/health/")  # lists there come in another order each time
_HEADERS = ("Content-Type", "X-Consul-KnownLeader", "X-Consul-Effective-Consistency")
# Recorded where they are present; raftreg adds the index to the answers of writes.
_TELLING_HEADERS = ("X-Consul-Index", "Allow", "Location", "Content-Encoding", "X-Cache")


class _Recording(Replay):
    """A replay that notes what came for the steps that expect nothing yet."""

    def __init__(self, scenario: Scenario, targets: list[Target]) -> None:
        super().__init__(scenario, targets)
        self.steps: list[dict[str, Any]] = []
        self._unordered = self._shared = False
        self._indexes: dict[int, str] = {}  # index -> the name under which it was captured
        self._exact = bool(scenario.get("exact_index"))

    def take(self, step: Step) -> None:
        """Ask, note, and go on as in a replay."""
        noted = dict(step)
        self.steps.append(noted)
        if "dns" in step and "expect" not in step:
            noted["expect"] = {"json": self._general(self.resolve(step))}
            return
        self._noted = noted if "expect" not in step else None
        path = step.get("path", "")
        self._unordered = path.startswith(_UNORDERED)
        self._shared = path.startswith(_SHARED) and "${p}" not in path
        super().take(step)

    def judge(self, step: Step, answer: Answer, took_ms: float) -> None:
        """Note the answer, then let the replay capture from it."""
        if self._noted is not None:
            self._noted["expect"] = self._expectation(answer)
            if answer.status != 200 and self._noted.pop("capture", None):
                return
        super().judge(step, answer, took_ms)

    def _expectation(self, answer: Answer) -> dict[str, Any]:
        expect: dict[str, Any] = {"status": answer.status, "headers": {}}
        for name in (*_HEADERS, *(each for each in _TELLING_HEADERS if each.lower() in answer.headers)):
            value = answer.headers.get(name.lower())
            expect["headers"][name] = self._header(name, value)
        if not answer.body:
            return expect | {"empty": True}
        if len(answer.body) > _SHOWN_MAX:
            return expect | {"length": len(answer.body)}
        if expect["headers"]["Content-Type"] == "application/json":
            try:
                return expect | {"json": self._own_part(answer.json())}
            except ValueError:
                print(f"no JSON: {answer.text[:60]}")
        return expect | {"text": self._general(answer.text)}

    def _header(self, name: str, value: str | None) -> Any:
        if value is None:
            return None
        if name != "X-Consul-Index":
            return self._variables(value)
        return self._index(int(value)) if self._exact else {"$intstr": True}

    def _index(self, value: int) -> dict[str, Any]:
        """The same as an index seen before, or above all that were."""
        if value in self._indexes:
            return {"$same_as": self._indexes[value]}
        name = f"index{len(self._indexes) + 1}"
        below = [seen for seen in self._indexes if seen < value]
        relation = {"$gt": self._indexes[max(below)]} if below else {"$gte": 1}
        self._indexes[value] = name
        return relation | {"$cap": name}

    def _own_part(self, value: Any) -> Any:
        """What this scenario wrote, where the answer holds what others wrote too."""
        token = self.known["p"]
        if not self._shared or not isinstance(value, list | dict):
            return self._general(value)
        if isinstance(value, list):
            own = [each for each in value if token in json.dumps(each)]
            return {"$has": [self._general(each) for each in own]} if own else {"$lacks": "${p}"}
        own_names = [name for name in value if token in name]
        return {"$subset": self._general({name: value[name] for name in own_names})}

    def _general(self, value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            # The server's own node, and its own check, are older than the scenario and change without it.
            own = "Datacenter" in value or value.get("CheckID") == "serfHealth"
            own_node = own and value.get("Node") == self.known["node"]
            return {
                self._variables(key): {"$int": True}
                if own_node and key in _INDEXES
                else self._general(each, key)
                for key, each in value.items()
            }
        if isinstance(value, list):
            elements = [self._general(each) for each in value]
            return {"$unordered": elements} if self._unordered and len(elements) > 1 else elements
        if isinstance(value, str):
            return self._general_text(value, name)
        if name in _INDEXES and value:
            return self._index(value)
        return {"$int": True} if name in ("serial", "Index", "LTime", "LastContact") else value

    def _general_text(self, value: str, name: str) -> Any:
        general = self._variables(value)
        if name == "ContentHash":
            return {"$re": "^[0-9a-f]{1,16}$"}
        if _UUID.fullmatch(general) and set(general) - set("0-"):
            return {"$uuid": True}
        # The text goes on with what the real one's parser would have taken.
        syntax = _SYNTAX_ERROR.match(general)
        if syntax:
            return {"$re": "^" + syntax[0]}
        if _TOLD_INDEX in general:
            return {"$re": f"^{re.sub(_TOLD_INDEX + '[0-9]+', _TOLD_INDEX + '[0-9]+', general)}$"}
        return general

    def _variables(self, text: str) -> str:
        for name in ("p", "node_id", "base", *(each for each in self.known if not each.startswith("index"))):
            known = self.known[name]
            if isinstance(known, str) and len(known) > 5 and known in text and name not in ("addr", "dc"):
                text = text.replace(known, "${" + name + "}")
        return "${node}" if text == self.known["node"] else text


def written(corpus: dict[str, Any]) -> str:
    """The file: one step a line, so that a change of one step shows as one line."""

    def line(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False)

    def scenario(each: dict[str, Any]) -> str:
        head = {name: value for name, value in each.items() if name not in ("steps", "cleanup", "family")}
        steps, cleanup = (
            ",\n".join("  " + line(step) for step in each[name]) for name in ("steps", "cleanup")
        )
        return f' {line(head)[:-1]},\n "steps": [\n{steps}],\n "cleanup": [\n{cleanup}]}}'

    scenarios = ",\n".join(scenario(each) for each in corpus["scenarios"])
    return f'{{"family": {line(corpus["family"])}, "scenarios": [\n{scenarios}]}}\n'


def main() -> None:
    """Rewrite the files that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", required=True)
    parser.add_argument("--dns", default="127.0.0.1:8600")
    parser.add_argument("files", nargs="+", type=Path)
    arguments = parser.parse_args()
    host, _, port = arguments.dns.rpartition(":")
    target = Target.at(arguments.base, (host, int(port)))
    for path in arguments.files:
        corpus = json.loads(path.read_text(encoding="utf-8"))
        for scenario in corpus["scenarios"]:
            recording = _Recording(scenario, [target])
            try:
                recording.run()
            except Mismatch as error:
                print(f"{path.name}: {scenario['id']}: {error}")
                print(f"  it is cut after {len(recording.steps) - 1} steps")
                del recording.steps[-1]
            scenario["steps"] = recording.steps
        path.write_text(written(corpus), encoding="utf-8")


if __name__ == "__main__":
    main()
