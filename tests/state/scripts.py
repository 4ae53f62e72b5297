"""Golden scripts: what a sequence of commands and queries gives, written down and read by people.

A script is a list of blocks, separated by blank lines. A block is comments (`# ...`), commands, a line `----`, and
what the commands print. `pytest tests/state --rewrite` writes what they print now; read the
difference before you keep it.

Writes print their result, `@` and the number of the command, and the topics that they touched. Any write takes
`request=ID` (the request's id) and `after=N`. Queries print their index and one line for each thing found.
"""

import shlex
from collections.abc import Mapping
from pathlib import Path

from raftreg.cluster_commands import (
    AutopilotSet,
    ConfigDelete,
    ConfigSet,
    CoordinatesUpdate,
    FireEvent,
)
from raftreg.commands import (
    CheckUpdate,
    Command,
    Deregister,
    Failed,
    KVDelete,
    KVDeleteTree,
    KVLock,
    KVSet,
    KVUnlock,
    LockDelaysEnd,
    Ok,
    Register,
    Rehome,
    Request,
    SessionCreate,
    SessionDestroy,
    SessionExpire,
    SessionsKeep,
    encode_batch,
    encode_request,
)
from raftreg.model import (
    Autopilot,
    Behavior,
    Check,
    ConfigEntry,
    Coordinate,
    Event,
    KVEntry,
    Node,
    PreparedQuery,
    Service,
    ServiceQuery,
    Session,
    Template,
)
from raftreg.query_commands import QueryDelete, QueryPut
from raftreg.state import Applied, Query, State, cluster_queries, prepared_queries, queries
from raftreg.transactions import KVOperand, Operation, Transaction, decode_outcome

Options = Mapping[str, str]


def run_script(text: str) -> str:
    """The script with the output that its commands give now."""
    driver = Driver()
    blocks = [block for block in text.strip().split("\n\n") if block.strip()]
    return "\n\n".join(_run_block(driver, block) for block in blocks) + "\n"


def _run_block(driver: "Driver", block: str) -> str:
    given = block.strip("\n").split("\n----", 1)[0].split("\n")
    printed = [line for command in given if not command.startswith("#") for line in driver.run(command)]
    return "\n".join([*given, "----", *printed])


class Driver:
    """One state, driven by the lines of a script through the bytes of log entries."""

    def __init__(self) -> None:
        self._state = State(results_max=8, tombstones_max=3)
        self._requests = 0

    def run(self, line: str) -> list[str]:
        """Run one line; what it prints."""
        word, *rest = shlex.split(line)
        words = [item for item in rest if "=" not in item]
        options = dict(item.split("=", 1) for item in rest if "=" in item)
        if word == "restore":
            return [self._restore()]
        if word == "garbage":
            return [_shown(applied) for applied in self._state.apply_entry(bytes.fromhex(words[0]))]
        query = _query(word, words, options)
        if query is not None:
            found = query.run(self._state)
            return [f"index={found.index}", *(f"  {item}" for item in _lines(found.value))]
        return [self._write(_command(word, words, options), options)]

    def _write(self, command: Command, options: Options) -> str:
        self._requests += 1
        request_id = options.get("request", f"request {self._requests}").encode()
        after = int(options.get("after", str(self._state.index)))
        entry = encode_batch([encode_request(Request(request_id, after, command))])
        return "; ".join(_shown(applied) for applied in self._state.apply_entry(entry))

    def _restore(self) -> str:
        data, digest = self._state.dump(), self._state.digest()
        self._state = State(results_max=8, tombstones_max=3)
        self._state.load(data)
        same = self._state.dump() == data and self._state.digest() == digest
        return f"index={self._state.index} {'same' if same else 'DIFFERENT'} bytes"


def _command(word: str, words: list[str], options: Options) -> Command:
    cas = int(options["cas"]) if "cas" in options else None
    match word:
        case "set":
            return KVSet(words[0], words[1].encode(), int(options.get("flags", "0")), cas)
        case "delete":
            return KVDelete(words[0], cas)
        case "delete-tree":
            return KVDeleteTree(words[0])
        case "register":
            return _register(words, options)
        case "deregister":
            seen = int(options["expected"]) if "expected" in options else None
            cause = options.get("cause", "")
            return Deregister(words[0], options.get("service"), options.get("check"), cause, seen)
        case "update":
            seen = int(options["expected"]) if "expected" in options else None
            return CheckUpdate(words[0], words[1], words[2], options.get("output", ""), seen)
        case "rehome":
            return Rehome(words[0], words[1])
        case "query-put":
            return QueryPut(_prepared(words[0], options), "exists" in words)
        case "query-delete":
            return QueryDelete(words[0])
        case "fire":
            return FireEvent(Event(words[0], words[1], options.get("payload", "").encode()))
        case "config":
            return ConfigSet(ConfigEntry(words[0], words[1], {"Protocol": options.get("protocol", "")}), cas)
        case "config-delete":
            return ConfigDelete(words[0], words[1])
        case "coordinate":
            place = Coordinate(words[0], options.get("segment", ""), (float(words[1]),), 1.5, 0.0, 0.0)
            return CoordinatesUpdate((place,))
        case "autopilot":
            return AutopilotSet(Autopilot(max_trailing_logs=int(words[0])), cas)
    return _session_command(word, words, options)


def _session_command(word: str, words: list[str], options: Options) -> Command:
    flags = int(options.get("flags", "0"))
    match word:
        case "session":
            checks = tuple(filter(None, options.get("checks", "").split(",")))
            behavior: Behavior = "delete" if options.get("behavior") == "delete" else "release"
            delay = int(options.get("delay", "0"))
            record = Session(words[0], words[1], behavior=behavior, lock_delay_ns=delay, node_checks=checks)
            return SessionCreate(record)
        case "destroy":
            return SessionDestroy(words[0])
        case "keep":
            return SessionsKeep()
        case "expire":
            return SessionExpire(words[0], int(words[1]))
        case "lock":
            return KVLock(words[0], words[1].encode(), flags, words[2])
        case "unlock":
            return KVUnlock(words[0], words[1].encode(), flags, words[2])
        case "txn":
            return Transaction(tuple(_operation(*step.split()) for step in words))
        case "end-delays":
            pairs = [pair.rsplit("@", 1) for pair in words]
            return LockDelaysEnd(tuple((key, int(index)) for key, index in pairs))
    raise ValueError(f"unknown command: {word}")


def _operation(verb: str, *words: str) -> Operation:
    """VERB KEY [VALUE] [SESSION] [@INDEX], or node-VERB NAME, service-VERB NODE ID, check-VERB NODE ID STATUS."""
    index = next((int(word[1:]) for word in words if word.startswith("@")), 0)
    rest = [word for word in words if not word.startswith("@")]
    name, *more = rest or [""]
    kind, _, verb_of_record = verb.partition("-")
    if kind == "node":
        address = more[0] if more else "10.9.9.9"
        return Operation(verb_of_record, node=Node(name, "", address, modify_index=index))
    if kind == "service":
        return Operation(verb_of_record, service=Service(name, more[0], more[0], modify_index=index))
    if kind == "check" and verb_of_record in ("get", "set", "cas", "delete", "delete-cas"):
        status = more[1] if len(more) > 1 else "critical"
        return Operation(verb_of_record, check=Check(name, more[0], more[0], status, modify_index=index))
    session = more.pop() if more and verb in ("check-session", "lock", "unlock") else ""
    return Operation(verb, kv=KVOperand(name, "".join(more).encode(), index=index, session=session))


def _register(words: list[str], options: Options) -> Register:
    """register NODE [replace-checks] [moves] [at=ADDRESS] [service=NAME ...] [checks=ID/STATUS/SERVICE,...]"""
    name = words[0]
    node = (
        Node(name, options.get("uuid", ""), options["at"], meta=_pairs(options)) if "at" in options else None
    )
    service = None
    if "service" in options:
        service = Service(
            name,
            options.get("id", options["service"]),
            options["service"],
            tuple(options["tags"].split(",")) if "tags" in options else None,
            options.get("address", ""),
            int(options.get("port", "0")),
        )
    checks = []
    for text in filter(None, options.get("checks", "").split(",")):
        check_id, status, service_id = text.split("/")
        checks.append(
            Check(name, check_id, check_id, status, output=options.get("output", ""), service_id=service_id)
        )
    keep = tuple(filter(None, options.get("keep", "").split(",")))
    return Register(name, node, service, tuple(checks), "replace-checks" in words, "moves" in words, keep)


def _prepared(query_id: str, options: Options) -> PreparedQuery:
    """query-put ID [exists] service=NAME [name=NAME] [template=TYPE] [session=ID]"""
    return PreparedQuery(
        query_id,
        options.get("name", ""),
        ServiceQuery(options["service"]),
        options.get("session", ""),
        template=Template(options.get("template", "")),
    )


def _pairs(options: Options) -> dict[str, str] | None:
    pairs = [pair.split(":", 1) for pair in filter(None, options.get("meta", "").split(","))]
    return dict(pairs) if pairs else None


def _query(word: str, words: list[str], options: Options) -> Query[object] | None:
    one = words[0] if words else ""
    meta = tuple((_pairs(options) or {}).items())
    known: dict[str, Query[object]] = {
        "get": queries.KVGet(one),
        "list": queries.KVList(one),
        "keys": queries.KVKeys(one, options.get("separator", "")),
        "nodes": queries.Nodes(),
        "node-services": queries.NodeServices(one),
        "services": queries.ServiceTags(meta),
        "service": queries.ServiceNodes(one),
        "health": queries.ServiceHealth(one),
        "node-checks": queries.NodeChecks(one),
        "service-checks": queries.ServiceChecks(one),
        "checks": queries.StateChecks(one),
        "check": queries.CheckById(one, words[1] if len(words) > 1 else ""),
        "all-checks": queries.AllChecks(),
        "services-by-id": queries.ServicesById(one),
        "checks-by-id": queries.ChecksById(one),
        "events": cluster_queries.RecentEvents(),
        "config-entry": cluster_queries.ConfigGet(one, words[1] if len(words) > 1 else ""),
        "config-entries": cluster_queries.ConfigList(one),
        "coordinates": cluster_queries.AllCoordinates(),
        "autopilot-config": cluster_queries.AutopilotConfig(),
        "session-info": queries.SessionById(one),
        "sessions": queries.Sessions(),
        "node-sessions": queries.NodeSessions(one),
        "lock-delays": queries.LockDelays(),
        "queries": prepared_queries.PreparedQueries(),
        "query": prepared_queries.PreparedQueryById(one),
        "query-for": prepared_queries.PreparedQueryFor(one),
    }
    return known.get(word)


def _shown(applied: Applied) -> str:
    result = applied.result
    said = f"{result.status} {result.text}" if isinstance(result, Failed) else str(result.value).lower()
    details: list[str] = []
    if isinstance(result, Ok) and isinstance(result.value, bytes):
        said, *details = _told(result.value)
    topics = " ".join(f"{what}:{which}" for what, which in applied.topics)
    return "\n  ".join([f"{said} @{result.index}" + (f" [{topics}]" if topics else ""), *details])


def _told(data: bytes) -> list[str]:
    """How a transaction ended, and what it gave."""
    outcome = decode_outcome(data)
    errors = [f"at {error.index}: {error.what}" for error in outcome.errors]
    return ["failed", *errors] if errors else ["done", *map(_line, outcome.results)]


def _lines(value: object) -> list[str]:
    if value is None:
        return ["none"]
    if isinstance(value, dict):
        return [f"{name}: {' '.join(tags)}".rstrip() for name, tags in value.items()]
    if not isinstance(value, tuple):
        return [_line(value)]
    if value and isinstance(value[0], Node) and isinstance(value[-1], tuple):
        return [_line(value[0]), *(f"  {_line(item)}" for item in value[1])]
    return [
        " | ".join(_line(part) for part in item) if isinstance(item, tuple) else _line(item) for item in value
    ]


def _line(item: object) -> str:
    match item:
        case str():
            return item
        case KVEntry():
            lock = f" lock={item.lock_index}/{item.session or 'free'}" if item.lock_index else ""
            return f"{item.key} = {item.value.decode()} flags={item.flags}{lock} {_indexes(item)}"
        case Session():
            leans = ",".join(item.check_ids()) or "-"
            return f"session {item.id} of {item.node} checks={leans} {item.behavior} {_indexes(item)}"
        case int():
            return str(item)
        case Node():
            return f"node {item.name} {item.address} id={item.id or '-'} {_indexes(item)}"
        case Service():
            where = f"{item.address}:{item.port} tags={','.join(item.tags or ()) or '-'}"
            return f"service {item.node}/{item.id} {item.name} {where} {_indexes(item)}"
        case Check():
            owner = f"{item.service_name}({','.join(item.service_tags or ())})" if item.service_id else "-"
            return f"check {item.node}/{item.id} {item.status} {item.output!r} of {owner} {_indexes(item)}"
        case Event():
            return f"event {item.name} id={item.id} payload={item.payload.decode()!r} ltime={item.ltime}"
        case ConfigEntry():
            return f"config {item.kind}/{item.name} {dict(item.body)} {_indexes(item)}"
        case Coordinate():
            return f"coordinate {item.node}/{item.segment or '-'} {item.vector}"
        case Autopilot():
            return f"autopilot trailing={item.max_trailing_logs} {_indexes(item)}"
        case PreparedQuery():
            kind = item.template.type or "query"
            return f"{kind} {item.id} {item.name or '-'} of {item.service.service} {_indexes(item)}"
        case tuple():
            return " + ".join(_line(part) for part in item) or "no checks"
    raise TypeError(f"cannot show {type(item).__name__}")


def _indexes(
    item: KVEntry | Node | Service | Check | Session | ConfigEntry | Autopilot | PreparedQuery,
) -> str:
    return f"c{item.create_index} m{item.modify_index}"


def scripts() -> list[Path]:
    """The scripts beside this file."""
    return sorted((Path(__file__).parent / "scripts").glob("*.txt"))
