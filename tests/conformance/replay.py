"""Replays one scenario against the nodes of a server."""

import base64
import json
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.conformance import dns_client, http_client
from tests.conformance.http_client import Answer
from tests.conformance.matching import Known, Mismatch, fill, lookup, match, match_or_leave, shown

Step = Mapping[str, Any]
Scenario = Mapping[str, Any]
_BLOCKED_AFTER_S = 0.3  # when a request in the background counts as waiting
_RETRY_PAUSE_S = 0.1
_RETURN_MAX_MS = 5000  # how long `join` waits unless the scenario says otherwise


@dataclass(frozen=True, slots=True)
class Target:
    """One node under test, with the facts that expectations name."""

    base: str
    dns: tuple[str, int] | None
    facts: Mapping[str, str]

    @classmethod
    def at(cls, base: str, dns: tuple[str, int] | None = None) -> "Target":
        """Ask the node for its facts."""
        told = http_client.send(base, "GET", "/v1/agent/self", {}, None).json()
        config = told["Config"]
        facts = {
            "node": config["NodeName"],
            "node_id": config["NodeID"],
            "dc": config["Datacenter"],
            "addr": told["Member"]["Addr"],
            "base": base,
        }
        return cls(base, dns, facts)


class _Background:
    """A request that goes on in a thread of its own."""

    def __init__(self, send: Callable[[], Answer]) -> None:
        self.answer: Answer | None = None
        self.error: OSError | None = None
        self.done = threading.Event()
        threading.Thread(target=self._run, args=(send,), daemon=True).start()

    def _run(self, send: Callable[[], Answer]) -> None:
        try:
            self.answer = send()
        except OSError as error:
            self.error = error
        finally:
            self.done.set()


class Replay:
    """One run of one scenario; `known` holds what it captured."""

    def __init__(self, scenario: Scenario, targets: list[Target], first: int = 0) -> None:
        """`first` chooses the node with which the scenario begins."""
        self.scenario = scenario
        self.known: Known = {"p": "cf" + uuid.uuid4().hex[:10], **targets[first % len(targets)].facts}
        self._targets = targets
        self._first = self._next = first
        self._spread = bool(scenario.get("spread"))
        self._background: dict[str, _Background] = {}

    def run(self) -> None:
        """All steps, then the cleanup. Mismatch with the number and request of the step that failed."""
        try:
            for number, step in enumerate(self.scenario["steps"], 1):
                try:
                    self.take(step)
                except (Mismatch, OSError, ValueError) as error:
                    what = f"{type(error).__name__}: " if not isinstance(error, Mismatch) else ""
                    raise Mismatch(f"step {number} [{describe(step)}] {what}{error}") from error
        finally:
            self._clean_up()

    def take(self, step: Step) -> None:
        """One step of whatever kind, repeated until it holds for as long as it allows."""
        if "sleep" in step:
            time.sleep(step["sleep"])
        elif "pending" in step:
            self._still_blocked(step["pending"])
        elif "join" in step:
            self._join(step)
        elif "background" in step:
            self._background[step["background"]] = _Background(self.request(step))
            time.sleep(_BLOCKED_AFTER_S)
        else:
            deadline = time.monotonic() + step.get("retry", 0)
            while True:
                try:
                    self._ask(step)
                    break
                except Mismatch:
                    if time.monotonic() >= deadline:
                        raise
                time.sleep(_RETRY_PAUSE_S)

    def request(self, step: Step) -> Callable[[], Answer]:
        """What sends the step's request to the node whose turn it is."""
        base = self._turn(step).base
        headers = {name: fill(value, self.known) for name, value in step.get("headers", {}).items()}
        method, path, body = step["method"], fill(step["path"], self.known), self._body(step)
        return lambda: http_client.send(base, method, path, headers, body)

    def judge(self, step: Step, answer: Answer, took_ms: float) -> None:
        """Mismatch unless the answer is what the step expects; then capture from it."""
        trial = dict(self.known)
        _judge(step.get("expect", {}), answer, trial)
        if not step.get("min_ms", 0) <= took_ms <= step.get("max_ms", float("inf")):
            bounds = f"{step.get('min_ms', 0)} to {step.get('max_ms', 'any')} ms"
            raise Mismatch(f"took {took_ms:.0f} ms, expected {bounds}")
        for name, source in step.get("capture", {}).items():
            trial[name] = _captured(source, answer, trial)
        self.known.update(trial)

    def resolve(self, step: Step) -> dict[str, Any]:
        """The answer to a DNS question."""
        target, question = self._turn(step), step["dns"]
        assert target.dns is not None, "the scenario asks DNS, and the target has none"
        options = {"tcp": question.get("tcp", False), "edns": question.get("edns", 0)}
        return dns_client.ask(target.dns, fill(question["name"], self.known), question["type"], **options)

    def _ask(self, step: Step) -> None:
        if "dns" in step:
            match_or_leave(
                step.get("expect", {}).get("json", {"$any": True}), self.resolve(step), self.known, "dns"
            )
        else:
            answer = self.request(step)()
            self.judge(step, answer, answer.took_ms)

    def _turn(self, step: Step) -> Target:
        via = step.get("via")
        if isinstance(via, int):
            return self._targets[via % len(self._targets)]
        if via == "next" or self._spread:
            self._next += 1
            return self._targets[self._next % len(self._targets)]
        return self._targets[self._first % len(self._targets)]

    def _body(self, step: Step) -> bytes | None:
        if "json" in step:
            return json.dumps(_filled(step["json"], self.known), ensure_ascii=False).encode()
        if "body" in step:
            return fill(step["body"], self.known).encode()
        if "body_b64" in step:
            return base64.b64decode(step["body_b64"])
        if "body_fill" in step:
            return b"x" * int(step["body_fill"])
        if "body_from" in step:
            return bytes(lookup(step["body_from"], self.known))
        return None

    def _still_blocked(self, name: str) -> None:
        background = self._background[name]
        if background.done.is_set():
            came = background.answer.status if background.answer else background.error
            raise Mismatch(f"the request '{name}' should still be blocked, but it gave {came}")

    def _join(self, step: Step) -> None:
        background, limit_ms = self._background[step["join"]], step.get("max_ms", _RETURN_MAX_MS)
        begun = time.monotonic()
        if not background.done.wait(limit_ms / 1000):
            raise Mismatch(f"the blocked request '{step['join']}' did not return within {limit_ms} ms")
        if background.error:
            raise background.error
        assert background.answer is not None
        self.judge(step, background.answer, (time.monotonic() - begun) * 1000)

    def _clean_up(self) -> None:
        """Leave nothing behind; a request that needs what was never captured had nothing to remove."""
        for step in self.scenario.get("cleanup", []):
            try:
                self.request(step)()
            except (Mismatch, OSError):
                continue


def describe(step: Step) -> str:
    """A step in a few words."""
    if "dns" in step:
        return f"DNS {step['dns']['name']} {step['dns']['type']}"
    for kind in ("join", "pending", "sleep"):
        if kind in step:
            return f"{kind} {step[kind]}"
    return f"{step['method']} {step['path']}"


def _filled(template: Any, known: Known) -> Any:
    """Request JSON with its variables replaced; `{"$var": NAME}` keeps the kind of what was captured."""
    if isinstance(template, str):
        return fill(template, known)
    if isinstance(template, list):
        return [_filled(value, known) for value in template]
    if isinstance(template, dict):
        if set(template) == {"$repeat"}:
            text, count = template["$repeat"]
            return text * count
        if set(template) == {"$var"}:
            return lookup(template["$var"], known)
        return {fill(name, known): _filled(value, known) for name, value in template.items()}
    return template


def _judge(expect: Mapping[str, Any], answer: Answer, known: Known) -> None:
    if answer.status != expect.get("status", answer.status):
        raise Mismatch(f"status: expected {expect['status']}, got {answer.status} ({shown(answer.text)})")
    for name, wanted in expect.get("headers", {}).items():
        value = answer.headers.get(name.lower())
        if wanted is not None and value is None:
            raise Mismatch(f"header {name}: missing, expected {shown(wanted)}")
        match(wanted, value, known, f"header {name}")
    if "json" in expect:
        match(expect["json"], answer.json(), known, "body")
    if "text" in expect:
        match(expect["text"], answer.text, known, "body")
    if "body_b64" in expect and base64.b64decode(expect["body_b64"]) != answer.body:
        raise Mismatch(f"body: expected the bytes {expect['body_b64']} (base64), got {answer.body[:80]!r}")
    if len(answer.body) != expect.get("length", len(answer.body)):
        raise Mismatch(f"body: expected {expect['length']} bytes, got {len(answer.body)}")
    if expect.get("empty") and answer.body:
        raise Mismatch(f"body: expected none, got {answer.body[:80]!r}")


def _captured(source: str, answer: Answer, known: Known) -> Any:
    """What `header:NAME`, `json:A/0/B` or `bytes:` names in the answer."""
    kind, _, place = source.partition(":")
    if kind == "bytes":
        return answer.body
    if kind == "header":
        if place.lower() not in answer.headers:
            raise Mismatch(f"header {place}: missing, cannot capture it")
        return answer.headers[place.lower()]
    value = answer.json()
    for part in filter(None, place.split("/")):
        try:
            value = value[int(part)] if isinstance(value, list) else value[fill(part, known)]
        except (LookupError, TypeError, ValueError) as error:
            raise Mismatch(f"body: nothing at {place} to capture in {shown(answer.json())}") from error
    return value
