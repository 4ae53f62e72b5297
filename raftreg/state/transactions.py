"""Transactions: every operation sees what those before it did, and either all of them happen or none.

The tables have no way back. So a transaction that writes is first carried out on a small copy of what it can reach (see
`raftreg.state.trial`), and on the tables themselves only if nothing failed there. Both times it is the same code.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from raftreg.commands import KVDelete, KVDeleteTree, KVLock, KVSet, KVUnlock
from raftreg.errors import Refused
from raftreg.model import Check, KVEntry, Node, Service
from raftreg.records import Record
from raftreg.state import locks, registration
from raftreg.state.catalog import NODE_LEVEL, Host
from raftreg.state.changes import Changes
from raftreg.state.tables import Core
from raftreg.state.tombstones import as_name
from raftreg.state.trial import copy_of
from raftreg.transactions import (
    KVOperand,
    Operation,
    OperationError,
    Outcome,
    Transaction,
    encode_outcome,
)

OUTCOME_BYTES_MAX: Final = 1024 * 1024
KV_WRITES: Final = frozenset({"set", "cas", "lock", "unlock", "delete", "delete-cas", "delete-tree"})

Found = Iterable[Record]
Row = TypeVar("Row", Node, Service, Check)


def writes(operation: Operation) -> bool:
    """Whether an operation may change something. Verbs that nobody knows count as the real thing counts them."""
    return operation.verb in KV_WRITES if operation.kv is not None else operation.verb != "get"


def transact(core: Core, changes: Changes, command: Transaction) -> bytes:
    """Carry out a transaction; its encoded outcome. Refused if that is too large."""
    trial = Changes(changes.index)
    outcome = run(copy_of(core, command.operations), trial, command.operations)
    encoded = encode_outcome(outcome)
    if len(encoded) > OUTCOME_BYTES_MAX:
        text = f"Transaction result({len(encoded)} bytes) too large, max size: {OUTCOME_BYTES_MAX} bytes"
        raise Refused(413, f"{text}. Read what it should return in a transaction of its own.")
    if not outcome.errors:
        again = run(core, changes, command.operations)
        assert outcome == again, "a transaction does the same to the tables as to the copy"
    return encoded


def run(core: Core, changes: Changes, operations: Sequence[Operation]) -> Outcome:
    """Carry out operations, those that fail aside, whose errors are all that is returned then."""
    delayed = _delayed(core, operations)
    if delayed:
        return Outcome(errors=delayed)
    results: list[Record] = []
    errors: list[OperationError] = []
    for number, operation in enumerate(operations):
        try:
            results.extend(_carry_out(core, changes, operation))
        except Refused as refused:
            errors.append(OperationError(number, refused.text))
        if changes.lost:
            locks.end_bereft(core, changes)
    return Outcome((), tuple(errors)) if errors else Outcome(tuple(results))


def _delayed(core: Core, operations: Sequence[Operation]) -> tuple[OperationError, ...]:
    """The locks that may not be taken yet. Nothing else is looked at then, as in Consul."""
    if not core.sessions.delays:
        return ()
    return tuple(
        OperationError(number, _delay(operation.kv).text)
        for number, operation in enumerate(operations)
        if operation.kv is not None
        and operation.verb == "lock"
        and as_name(operation.kv.key) in core.sessions.delays
    )


def _delay(operand: KVOperand) -> Refused:
    return _failed(f"failed to lock key {_quoted(operand.key)} due to lock delay")


def _carry_out(core: Core, changes: Changes, operation: Operation) -> Found:
    verb = operation.verb
    if operation.kv is not None:
        if verb in KV_WRITES:
            return _write_key(core, changes, verb, operation.kv)
        return _read_key(core, verb, operation.kv)
    if operation.node is not None:
        return _node(core, changes, verb, operation.node)
    if operation.service is not None:
        return _service(core, changes, verb, operation.service)
    if operation.check is not None:
        return _check(core, changes, verb, operation.check)
    return ()


def _write_key(core: Core, changes: Changes, verb: str, operand: KVOperand) -> Found:
    key, kv = operand.key, core.kv
    match verb:
        case "set":
            kv.set(changes, KVSet(key, operand.value, operand.flags))
        case "cas":
            if not kv.set(changes, KVSet(key, operand.value, operand.flags, operand.index)):
                raise _failed(f"failed to set key {_quoted(key)}, index is stale")
        case "lock":
            _lock(core, changes, operand)
        case "unlock":
            _check_session_given(operand)
            if not kv.unlock(changes, KVUnlock(key, operand.value, operand.flags, operand.session)):
                why = "lock isn't held, or is held by another session"
                raise _failed(f"failed to unlock key {_quoted(key)}, {why}")
        case "delete":
            kv.delete(changes, KVDelete(key))
            return ()
        case "delete-cas":
            if not kv.delete(changes, KVDelete(key, operand.index)):
                raise _failed(f"failed to delete key {_quoted(key)}, index is stale")
            return ()
        case "delete-tree":
            kv.delete_tree(changes, KVDeleteTree(key))
            return ()
    return _without_value(kv.get(key))


def _lock(core: Core, changes: Changes, operand: KVOperand) -> None:
    if as_name(operand.key) in core.sessions.delays:
        raise _delay(operand)
    _check_session_given(operand)
    error = locks.lookup_error(operand.session)
    if error is not None:
        raise _failed(error)
    if not locks.lock(core, changes, KVLock(operand.key, operand.value, operand.flags, operand.session)):
        raise _failed(f"failed to lock key {_quoted(operand.key)}, lock is already held")


def _check_session_given(operand: KVOperand) -> None:
    if not operand.session:
        raise _failed("missing session")


def _read_key(core: Core, verb: str, operand: KVOperand) -> Found:
    key = operand.key
    entry = core.kv.get(key)
    match verb:
        case "get":
            if entry is None:
                raise _failed(f"key {_quoted(key)} doesn't exist")
            return (entry,)
        case "get-tree":
            return core.kv.under(key)
        case "check-index":
            if entry is None:
                raise _failed(f"failed to check index, key {_quoted(key)} doesn't exist")
            if entry.modify_index != operand.index:
                at = f"current modify index {entry.modify_index} != {operand.index}"
                raise _failed(f"failed index check for key {_quoted(key)}, {at}")
            return _without_value(entry)
        case "check-session":
            if entry is None:
                raise _failed(f"failed to check session, key {_quoted(key)} doesn't exist")
            if (entry.session or "") != operand.session:
                what = f"current session {_quoted(entry.session or '')} != {_quoted(operand.session)}"
                raise _failed(f"failed session check for key {_quoted(key)}, {what}")
            return _without_value(entry)
        case "check-not-exists":
            if entry is not None:
                raise _failed(f"key {_quoted(key)} exists")
            return ()
    raise _failed(f"unknown KV verb {_quoted(verb)}")


def _node(core: Core, changes: Changes, verb: str, node: Node) -> Found:
    catalog = core.catalog
    host = catalog.host(node.name)
    old = None if host is None else host.node
    what = f"node {_quoted(node.name)}"
    match verb:
        case "get":
            if node.id:
                named = catalog.hosts.get(catalog.name_of_id.get(node.id, ""))
                old = None if named is None else named.node
            return (_existing(old, what),)
        case "set" | "cas":
            _refuse_stale(verb, node, old, f"failed to set {what}")
            registration.refuse_taken_name(catalog, host, node, node.name)
            return (registration.put_node(catalog, changes, host, node).node,)
        case "delete" | "delete-cas":
            _refuse_stale(verb, node, old, f"failed to delete {what}")
            if host is not None:
                catalog.drop_node(changes, host)
            return ()
    raise _failed(f"unknown Node verb {_quoted(verb)}")


def _service(core: Core, changes: Changes, verb: str, service: Service) -> Found:
    host = core.catalog.host(service.node)
    old = None if host is None else host.services.get(service.id)
    what = f"service {_quoted(service.id)} on node {_quoted(service.node)}"
    match verb:
        case "get":
            return (_existing(old, what),)
        case "set" | "cas":
            place = _host(host)
            _refuse_stale(verb, service, old, f"failed to set {what}")
            if not service.id:
                raise _failed("failed inserting service: object missing primary index")
            registration.put_service(core.catalog, changes, place, service)
            return (place.services[service.id],)
        case "delete" | "delete-cas":
            _refuse_stale(verb, service, old, f"failed to delete {what}")
            if host is not None and old is not None:
                core.catalog.drop_service(changes, host, old)
            return ()
    raise _failed(f"unknown Service verb {_quoted(verb)}")


def _check(core: Core, changes: Changes, verb: str, check: Check) -> Found:
    host = core.catalog.host(check.node)
    old = None if host is None else host.checks.get(check.id)
    what = f"check {_quoted(check.id)} on node {_quoted(check.node)}"
    match verb:
        case "get":
            return (_existing(old, what),)
        case "set" | "cas":
            place = _host(host)
            _refuse_stale(verb, check, old, f"failed to set {what}")
            if check.service_id not in (NODE_LEVEL, *place.services):
                raise _failed("Missing service registration")
            if not check.id:
                raise _failed("failed inserting check: object missing primary index")
            registration.put_check(core.catalog, changes, place, check, keep_status=False)
            return (place.checks[check.id],)
        case "delete" | "delete-cas":
            _refuse_stale(verb, check, old, f"failed to delete {what}")
            if host is not None and old is not None:
                core.catalog.drop_check(changes, host, old)
            return ()
    raise _failed(f"unknown Check verb {_quoted(verb)}")


def _existing(found: Row | None, what: str) -> Row:
    if found is None:
        raise _failed(f"{what} doesn't exist")
    return found


def _refuse_stale(verb: str, given: Row, old: Row | None, failure: str) -> None:
    """Raises where a verb with a condition names another index than that of what is there; 0 for nothing."""
    if verb == "delete-cas" and old is None:
        raise _failed(f"{failure}, index is stale")
    if verb.endswith("cas") and given.modify_index != (0 if old is None else old.modify_index):
        raise _failed(f"{failure}, index is stale")


def _host(host: Host | None) -> Host:
    if host is None:
        raise _failed("Missing node registration")
    return host


def _without_value(entry: KVEntry | None) -> Found:
    """The entry as writes and checks tell it."""
    return () if entry is None else (replace(entry, value=b""),)


def _failed(what: str) -> Refused:
    return Refused(409, what)


def _quoted(text: str) -> str:
    """Text in quotes, as Go writes it in messages."""
    return json.dumps(text, ensure_ascii=False)
