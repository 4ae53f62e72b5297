"""Byte strings in order, with the range below a prefix."""

from collections.abc import Iterable, Iterator

from sortedcontainers import SortedList


class OrderedKeys:
    """A sorted set of byte strings: the typed part of sortedcontainers that the tables need.

    Bytes, not text, because keys are listed in bytewise order and a prefix may end in the middle of a character.
    """

    def __init__(self, keys: Iterable[bytes] = ()) -> None:
        self._keys = SortedList(keys)

    def add(self, key: bytes) -> None:
        """Add a key that is not there yet."""
        self._keys.add(key)

    def remove(self, key: bytes) -> None:
        """Remove a key that is there."""
        self._keys.remove(key)

    def add_all(self, keys: Iterable[bytes]) -> None:
        """Add many keys that are not there yet, several times faster than one by one."""
        self._keys.update(keys)

    def remove_under(self, prefix: bytes) -> None:
        """Remove all keys that begin with the prefix, likewise."""
        end = _end_of(prefix)
        stop = len(self._keys) if end is None else self._keys.bisect_left(end)
        del self._keys[self._keys.bisect_left(prefix) : stop]

    def under(self, prefix: bytes) -> Iterator[bytes]:
        """The keys that begin with the prefix, in order. The set must not change meanwhile."""
        keys: Iterator[bytes] = self._keys.irange(prefix, _end_of(prefix), inclusive=(True, False))
        return keys

    def all(self) -> list[bytes]:
        """All keys in order, as a list of its own."""
        return list(self._keys)


def _end_of(prefix: bytes) -> bytes | None:
    """The smallest byte string above all that begin with the prefix, or None if there is none."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes((stem[-1] + 1,)) if stem else None
