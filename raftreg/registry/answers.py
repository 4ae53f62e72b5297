"""What a read asks for and what it gets, and the sharing of both between clients that ask for the same."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar, cast

from raftreg.state import Found, Query, State

T = TypeVar("T")

_ANSWERS_MAX = 1024  # distinct queries that are kept between two changes of the state
_ENCODED_MAX = 32 * 1024 * 1024  # bytes of encodings that are kept between two changes of the state


ReadMode = Literal["default", "consistent", "stale"]


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How a read is to be done.

    With `index` above 0 it blocks until the index of what was asked for is above that, at most `wait_s` seconds.
    `max_stale_s` turns a stale read into a default one when the leader was not heard for longer. `min_index`
    waits until this node has applied that many commands.
    """

    mode: ReadMode = "default"
    index: int = 0
    wait_s: float = 0.0
    max_stale_s: float | None = None
    min_index: int = 0


class Encodings:
    """Bytes that a front door made of one answer, kept for the next client that gets the same answer."""

    __slots__ = ("_charge", "_kept")

    def __init__(self, charge: Callable[[int], None]) -> None:
        self._kept: dict[Hashable, bytes] = {}
        self._charge = charge

    def get(self, key: Hashable) -> bytes | None:
        """The bytes that were kept under this key, or None."""
        return self._kept.get(key)

    def keep(self, key: Hashable, body: bytes) -> None:
        """Keep the bytes as long as the answer itself is current."""
        self._kept[key] = body
        self._charge(len(body))


def _free_of_charge(size: int) -> None:
    """For answers that are kept by nobody."""


@dataclass(slots=True)  # not frozen, which would make each twice as expensive
class Answer(Generic[T]):
    """What a read found. `index` is at least 1; `last_contact_ms` is above 0 for stale reads only."""

    index: int
    value: T
    known_leader: bool = True
    last_contact_ms: int = 0
    encodings: Encodings = field(
        default_factory=lambda: Encodings(_free_of_charge), compare=False, repr=False
    )


class CurrentAnswers:
    """The results of queries on the present state: each query runs once per state, however many clients ask."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._index = -1
        self._found: dict[Query[Any], tuple[Found[Any], Encodings]] = {}
        self._encoded = 0

    def find(self, query: Query[T]) -> tuple[Found[T], Encodings]:
        """The result of the query on the state as it is now."""
        if self._state.index != self._index:
            self.forget()
        kept = self._found.get(query)
        if kept is None:
            if len(self._found) >= _ANSWERS_MAX:
                self.forget()
            kept = self._found[query] = query.run(self._state), Encodings(self._charge)
        return cast("tuple[Found[T], Encodings]", kept)

    def forget(self) -> None:
        """Begin anew: the state is another one than before."""
        self._found.clear()
        self._encoded = 0
        self._index = self._state.index

    def _charge(self, size: int) -> None:
        self._encoded += size
        if self._encoded > _ENCODED_MAX:
            self.forget()
