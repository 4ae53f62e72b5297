"""Transactions: several operations that are carried out as one command, all or none, and what came of them."""

from dataclasses import dataclass

from raftreg import codec
from raftreg.codec import Shape, many, optional, raw, text, unsigned
from raftreg.model import Check, Node, Service
from raftreg.records import CHECK, NODE, SERVICE, Record, record_from_row, record_row


@dataclass(frozen=True, slots=True)
class KVOperand:
    """What an operation on a key names; which of it counts depends on the verb."""

    key: str
    value: bytes = b""
    flags: int = 0
    index: int = 0
    session: str = ""


@dataclass(frozen=True, slots=True)
class Operation:
    """A verb, and what it acts on: exactly one of the four. For cas and delete-cas, `modify_index` of a record counts.

    Verbs for keys: set, cas, lock, unlock, get, get-tree, check-index, check-session, check-not-exists, delete,
    delete-cas, delete-tree; for the others: get, set, cas, delete, delete-cas.
    """

    verb: str
    kv: KVOperand | None = None
    node: Node | None = None
    service: Service | None = None
    check: Check | None = None


@dataclass(frozen=True, slots=True)
class Transaction:
    """Carry out operations in order, each seeing what those before it did. Result: bytes, see `decode_outcome`.

    If one of them fails, nothing is changed. All writes share the number of the command. Refused (recorded) if the
    outcome would be too large to be carried between nodes.
    """

    operations: tuple[Operation, ...]


@dataclass(frozen=True, slots=True)
class OperationError:
    """Why an operation failed. `index` is its place in the transaction."""

    index: int
    what: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What operations gave: records, in order, or errors. Entries that were not asked for by a get have no value."""

    results: tuple[Record, ...] = ()
    errors: tuple[OperationError, ...] = ()


_OPERAND = Shape(KVOperand, key=text, value=raw, flags=unsigned, index=unsigned, session=text)
_OPERATION = Shape(
    Operation, verb=text, kv=optional(_OPERAND.record), node=optional(NODE.record),
    service=optional(SERVICE.record), check=optional(CHECK.record),
)  # fmt: skip
TRANSACTION = Shape(Transaction, operations=many(_OPERATION.record))
_ERROR = Shape(OperationError, index=unsigned, what=text)
_results, _errors = many(record_from_row), many(_ERROR.record)


def encode_outcome(outcome: Outcome) -> bytes:
    """An outcome as the result of a command."""
    return codec.pack((tuple(map(record_row, outcome.results)), outcome.errors))


def decode_outcome(data: bytes) -> Outcome:
    """The outcome that `encode_outcome` was given; ValueError for any other bytes."""
    row = codec.unpack(data, "outcome")
    if type(row) is not list or len(row) != 2:
        raise ValueError("outcome: not an array of 2 fields")
    return Outcome(_results(row[0]), _errors(row[1]))
