"""Every write there is: one frozen record each. Reads are never in the log.

A `Request` is a command with the id of the client's request; the state machine keeps the last results by that
id, so that a request that was proposed twice is applied once. `after` is the command index that the node which
received the request had applied at that moment: when results younger than that were already forgotten, the state
machine cannot know whether it was applied before, and refuses it rather than risk doing it twice.

Nothing here reads a clock: what needs time, chance or a fresh id is decided on the leader, before the log.

The codec (msgpack, see `raftreg.codec`) is strict: malformed bytes give ValueError with a clear text, nothing else; but
a version or a command number above those that this release knows is no malformed one: NewerFormat.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from raftreg import codec
from raftreg.cluster_commands import CLUSTER_SHAPES, LEVEL_RAISE, ClusterCommand, ConfigSet
from raftreg.codec import Shape, flag, free, many, optional, pair, raw, text, unsigned
from raftreg.errors import NewerFormat
from raftreg.model import Check, Node, Service, Session
from raftreg.query_commands import QUERY_SHAPES, QueryCommand
from raftreg.records import CHECK, NODE, SERVICE, SESSION
from raftreg.transactions import TRANSACTION, Transaction


@dataclass(frozen=True, slots=True)
class KVSet:
    """Store a value; with `cas`, only if the key's modify_index is still that (0: only if it does not exist).

    Result: bool, whether it was stored. A set that changes nothing answers True and leaves the indexes alone.
    """

    key: str
    value: bytes
    flags: int = 0
    cas: int | None = None


@dataclass(frozen=True, slots=True)
class KVDelete:
    """Delete a key; with `cas`, only if its modify_index is still that. Result: bool."""

    key: str
    cas: int | None = None


@dataclass(frozen=True, slots=True)
class KVDeleteTree:
    """Delete every key that begins with the prefix. Result: True."""

    prefix: str


@dataclass(frozen=True, slots=True)
class KVLock:
    """Store a value and take the key's lock for a session. Result: bool, False if another session holds it.

    False as well while the lock delay of a session that ended lasts. Refused (recorded): no such session.
    """

    key: str
    value: bytes
    flags: int
    session: str


@dataclass(frozen=True, slots=True)
class KVUnlock:
    """Store a value and give the key's lock back. Result: bool, False if the session does not hold it."""

    key: str
    value: bytes
    flags: int
    session: str


@dataclass(frozen=True, slots=True)
class SessionCreate:
    """Begin a session, under an id made before the log. Result: the id.

    Refused (recorded): no such node, or one of its checks is not there or critical.
    """

    session: Session


@dataclass(frozen=True, slots=True)
class SessionDestroy:
    """End a session: its keys are released or deleted. Result: True, also when there is none."""

    session: str


@dataclass(frozen=True, slots=True)
class SessionsKeep:
    """The sender keeps the deadlines of all sessions from now on; what earlier keepers found to be over is void.

    Renewals are not in the log, so a leader that was deposed without knowing cannot know of those that its successor
    took. The successor writes this before it takes the first. Result: the number of this command, for SessionExpire.
    """


@dataclass(frozen=True, slots=True)
class SessionExpire:
    """End a session whose TTL is over, by the word of the keeper whose SessionsKeep had that number. Result: bool."""

    session: str
    keeper: int


@dataclass(frozen=True, slots=True)
class LockDelaysEnd:
    """The lock delays of these keys, each as it began with command `index`, are over. Result: int, how many ended."""

    delays: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Register:
    """Register a node, and optionally one service and any checks on it, as one write: all or nothing.

    `node` None (SkipNodeUpdate, or an agent's registration) leaves the node's record alone; `node_name` must then
    exist. With `replace_checks`, checks of the service that are not among `checks` are dropped.
    With `moves`, another node's service with the same id (or one that it got by a move), name, address (not "") and
    port, and its checks, go: it is the same instance, registered again through another node.
    A check with service_id set takes name and tags of that service. What exists with equal content keeps its
    indexes.
    An agent's check that exists already keeps its status and output when `keep_status` names its id.
    Result: True. Refused (recorded): missing node, missing service for a check.
    """

    node_name: str
    node: Node | None = None
    service: Service | None = None
    checks: tuple[Check, ...] = ()
    replace_checks: bool = False
    moves: bool = False
    keep_status: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Deregister:
    """Remove the service (with its checks) if one is named, else the check, else the node (with all). Result: bool.

    With `expected_modify_index` nothing is removed (False) unless the check `cause` of that node is still at that
    index: for timers. Otherwise True, also when there was nothing to remove.
    """

    node: str
    service_id: str | None = None
    check_id: str | None = None
    cause: str = ""
    expected_modify_index: int | None = None


@dataclass(frozen=True, slots=True)
class CheckUpdate:
    """Set status and output of a check. Result: bool, False if there is no such check (nothing is created).

    With `expected_modify_index` the update is dropped (False) when the check changed since: for timers.
    """

    node: str
    check_id: str
    status: str
    output: str
    expected_modify_index: int | None = None


@dataclass(frozen=True, slots=True)
class Rehome:
    """Move every service of `node` with an address of its own, and its checks, to node `to`. Result: int, moved.

    Ids that are taken there get the name of the node behind them (`raftreg.model.moved_from`).
    """

    node: str
    to: str


Command = (
    KVSet
    | KVDelete
    | KVDeleteTree
    | Register
    | Deregister
    | CheckUpdate
    | Rehome
    | ClusterCommand
    | KVLock
    | KVUnlock
    | SessionCreate
    | SessionDestroy
    | SessionsKeep
    | SessionExpire
    | LockDelaysEnd
    | QueryCommand
    | Transaction
)


@dataclass(frozen=True, slots=True)
class Request:
    """A command on its way to the log."""

    id: bytes  # 16 random bytes, or a digest of the client's Idempotency-Key
    after: int  # command index applied at the node of entry when it took the request
    command: Command


@dataclass(frozen=True, slots=True)
class Ok:
    """Applied (now, or earlier under the same request id). `index` is the command index it was applied at."""

    index: int
    value: object  # bool, int, str, None, or a list or map of these; bytes for a transaction


@dataclass(frozen=True, slots=True)
class Failed:
    """A recorded, deterministic refusal; nothing was changed. `status` is an HTTP status, `text` the body."""

    index: int
    status: int
    text: str


Result = Ok | Failed

_REGISTER = Shape(
    Register, node_name=text, node=optional(NODE.record), service=optional(SERVICE.record),
    checks=many(CHECK.record), replace_checks=flag, moves=flag, keep_status=many(text),
)  # fmt: skip
_DEREGISTER = Shape(
    Deregister, node=text, service_id=optional(text), check_id=optional(text), cause=text,
    expected_modify_index=optional(unsigned),
)  # fmt: skip
_CHECK_UPDATE = Shape(
    CheckUpdate, node=text, check_id=text, status=text, output=text, expected_modify_index=optional(unsigned)
)  # fmt: skip

# The number of a command is its place here. Logs on disk hold it: append, never reorder. A command that is appended, or
# that stands for a former one with other fields, is of a level of its own (`LEVEL_OF`).
_COMMANDS: tuple[Shape[Any], ...] = (
    Shape(KVSet, key=text, value=raw, flags=unsigned, cas=optional(unsigned)),
    Shape(KVDelete, key=text, cas=optional(unsigned)),
    Shape(KVDeleteTree, prefix=text),
    _REGISTER,
    _DEREGISTER,
    _CHECK_UPDATE,
    Shape(Rehome, node=text, to=text),
    *CLUSTER_SHAPES,  # a list that is complete: what comes later is appended here
    Shape(KVLock, key=text, value=raw, flags=unsigned, session=text),
    Shape(KVUnlock, key=text, value=raw, flags=unsigned, session=text),
    Shape(SessionCreate, session=SESSION.record),
    Shape(SessionDestroy, session=text),
    Shape(SessionsKeep),
    Shape(SessionExpire, session=text, keeper=unsigned),
    Shape(LockDelaysEnd, delays=many(pair(text, unsigned))),
    *QUERY_SHAPES,
    TRANSACTION,
    LEVEL_RAISE,
)
LEVEL_OF: dict[
    type, int
] = {}  # the feature level (`raftreg.versions`) below which nobody may write a command
_COMMAND_NUMBER = {shape.kind: number for number, shape in enumerate(_COMMANDS)}


def _value(value: object) -> object:
    return value if type(value) is bytes else free(value)


_OK = Shape(Ok, index=unsigned, value=_value)
_FAILED = Shape(Failed, index=unsigned, status=unsigned, text=text)
_RESULTS: tuple[Shape[Any], ...] = (_OK, _FAILED)
_RESULT_NUMBER = {shape.kind: number for number, shape in enumerate(_RESULTS)}


def encode_request(request: Request) -> bytes:
    """The bytes of one request; ValueError for a lone surrogate, a number of 65 bit, data nested too deeply."""
    command = request.command
    number = _COMMAND_NUMBER[type(command)]
    if type(command) is Register:
        _check_depth(command.service, *command.checks)
    elif type(command) is Transaction:
        _check_depth(*(record for step in command.operations for record in (step.service, step.check)))
    elif type(command) is ConfigSet:
        free(command.entry.body, codec.DEPTH_MAX)
    return codec.pack((request.id, request.after, number, _COMMANDS[number].row(command)))


def decode_request(data: bytes) -> Request:
    """The request that `encode_request` was given; ValueError for any other bytes."""
    row = codec.unpack(data, "request")
    if type(row) is not list or len(row) != 4:
        raise ValueError("request: not an array of 4 fields")
    return Request(raw(row[0]), unsigned(row[1]), _numbered(_COMMANDS, row[2], "command").record(row[3]))


def encode_batch(requests: Sequence[bytes]) -> bytes:
    """Several encoded requests as one log entry."""
    return codec.pack(requests)


def decode_batch(data: bytes) -> list[bytes]:
    """The encoded requests of one log entry, in order and not yet decoded; ValueError for any other bytes."""
    rows = codec.unpack(data, "batch")
    if type(rows) is not list:
        raise ValueError("batch: not an array")
    for row in rows:
        raw(row)
    return rows


def encode_results(results: Sequence[Result]) -> bytes:
    """The results of a batch, in its order."""
    return codec.pack([result_row(result) for result in results])


def decode_results(data: bytes) -> list[Result]:
    """The results that `encode_results` was given; ValueError for any other bytes."""
    rows = codec.unpack(data, "results")
    if type(rows) is not list:
        raise ValueError("results: not an array")
    return [result_from_row(row) for row in rows]


def result_row(result: Result) -> tuple[object, ...]:
    """A result as an array: its kind's number and its fields."""
    number = _RESULT_NUMBER[type(result)]
    return (number, *_RESULTS[number].row(result))


def result_from_row(row: object) -> Result:
    """The result that an unpacked array stands for, or ValueError."""
    if type(row) is not list or not row:
        raise ValueError("result: not an array")
    result: Result = _numbered(_RESULTS, row[0], "result").record(row[1:])
    return result


def _numbered(shapes: Sequence[Shape[Any]], number: object, what: str) -> Shape[Any]:
    """The shape of that number, or ValueError."""
    if type(number) is int and number >= len(shapes) and shapes is _COMMANDS:
        raise NewerFormat(f"{what} number {number}; this release knows those up to {len(shapes) - 1}")
    if type(number) is not int or not 0 <= number < len(shapes):
        raise ValueError(f"{what} number {str(number)[:40]} is not known to this release")
    return shapes[number]


def _check_depth(*records: Service | Check | None) -> None:
    """Refuse to encode what could not be decoded again: free-form fields nested too deeply."""
    for record in records:
        if isinstance(record, Service):
            free(record.extra, codec.DEPTH_MAX + 1)
        elif record is not None:
            free(record.definition, codec.DEPTH_MAX + 1)
            if record.probe is not None:
                free(record.probe.options, codec.DEPTH_MAX + 1)
