"""When things that are gone went: so that an index never goes back after a deletion."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence

from raftreg.state.ordered import OrderedKeys

TOMBSTONES_MAX = 16_384  # per table


class Tombstones:
    """The command numbers at which names went, of the last `size_max` that did.

    What is forgotten folds into `floor`: no index of the table is reported below it any more. That can only raise an
    index, and a raised index costs a waiting client one look at an unchanged answer, never a missed change.
    """

    def __init__(self, size_max: int, floor: int = 0, rows: Iterable[tuple[bytes, int]] = ()) -> None:
        self.floor = floor
        self._size_max = size_max
        self._index_of = OrderedDict(rows)  # oldest first
        self._order = OrderedKeys(self._index_of)

    def bury(self, name: bytes, index: int) -> None:
        """Note that the name went with command `index`, which is not below any noted before."""
        self.forget(name)
        self._index_of[name] = index
        self._order.add(name)
        if len(self._index_of) > self._size_max:
            oldest, gone_at = self._index_of.popitem(last=False)
            self._order.remove(oldest)
            self.floor = gone_at

    def bury_all(self, names: Sequence[bytes], index: int) -> None:
        """Note that many names went with one command, as `bury` would one by one. None of them is noted yet."""
        old = self._index_of
        excess = len(old) + len(names) - self._size_max
        if 0 < len(old) <= excess:
            self.floor = next(reversed(old.values()))
            old.clear()
            self._order = OrderedKeys()
        for _ in range(min(excess, len(old))):
            oldest, self.floor = old.popitem(last=False)
            self._order.remove(oldest)
        kept = names[max(0, len(names) - self._size_max) :]
        if len(kept) < len(names):
            self.floor = index
        old.update(dict.fromkeys(kept, index))
        self._order.add_all(kept)

    def forget(self, name: bytes) -> None:
        """The name is back: its own index is above that of its deletion from now on."""
        if self._index_of.pop(name, None) is not None:
            self._order.remove(name)

    def index(self, name: bytes) -> int:
        """At least the number of the command with which the name went; 0 if it never was there."""
        return max(self._index_of.get(name, 0), self.floor)

    def newest_under(self, prefix: bytes) -> int:
        """At least the highest number of any name that begins with the prefix and went; 0 if none did."""
        index_of = self._index_of
        return max((index_of[name] for name in self._order.under(prefix)), default=0)

    def rows(self) -> list[tuple[bytes, int]]:
        """Names and numbers, oldest first, as a list of its own."""
        return list(self._index_of.items())


def as_name(text: str) -> bytes:
    """Text as the tables order it: by its bytes."""
    return text.encode("utf-8", "surrogateescape")


def as_text(name: bytes) -> str:
    """What `as_name` made a name of."""
    return name.decode("utf-8", "surrogateescape")
