"""The key-value table."""

from collections.abc import Iterable

from raftreg.commands import KVDelete, KVDeleteTree, KVSet
from raftreg.model import KVEntry
from raftreg.state.changes import Changes
from raftreg.state.ordered import OrderedKeys
from raftreg.state.tombstones import Tombstones, as_name


class KVTable:
    """Entries by key, their order, and when deleted keys went. `changed` numbers the last change of any key."""

    def __init__(self, gone: Tombstones, changed: int = 1, entries: Iterable[KVEntry] = ()) -> None:
        self.changed = changed
        self.gone = gone
        self.entries = {as_name(entry.key): entry for entry in entries}
        self.order = OrderedKeys(self.entries)

    def set(self, changes: Changes, command: KVSet) -> bool:
        """Store a value, or answer False because `cas` does not match."""
        name = as_name(command.key)
        old = self.entries.get(name)
        if command.cas is not None and command.cas != (0 if old is None else old.modify_index):
            return False
        index = changes.index
        if old is None:
            entry = KVEntry(command.key, command.value, command.flags, 0, None, index, index)
            self.order.add(name)
            self.gone.forget(name)
        elif old.value == command.value and old.flags == command.flags:
            return True
        else:
            entry = KVEntry(
                old.key, command.value, command.flags, old.lock_index, old.session, old.create_index, index
            )
        self.entries[name] = entry
        self._touch(changes, command.key)
        return True

    def delete(self, changes: Changes, command: KVDelete) -> bool:
        """Delete a key, or answer False because `cas` does not match. An absent key is as good as deleted."""
        name = as_name(command.key)
        old = self.entries.get(name)
        if old is None:
            return True
        if command.cas is not None and command.cas != old.modify_index:
            return False
        self._remove(changes, name)
        return True

    def delete_tree(self, changes: Changes, command: KVDeleteTree) -> bool:
        """Delete every key that begins with the prefix."""
        for name in list(self.order.under(as_name(command.prefix))):
            self._remove(changes, name)
        return True

    def _remove(self, changes: Changes, name: bytes) -> None:
        entry = self.entries.pop(name)
        self.order.remove(name)
        self.gone.bury(name, changes.index)
        self._touch(changes, entry.key)

    def _touch(self, changes: Changes, key: str) -> None:
        self.changed = changes.index
        changes.touch(("kv", key))

    def get(self, key: str) -> KVEntry | None:
        """The entry, or None."""
        return self.entries.get(as_name(key))

    def under(self, prefix: str) -> list[KVEntry]:
        """The entries whose keys begin with the prefix, in the order of their bytes."""
        entries = self.entries
        return [entries[name] for name in self.order.under(as_name(prefix))]

    def index_under(self, prefix: str, entries: Iterable[KVEntry]) -> int:
        """The number of the last change below the prefix, given the entries there.

        Where there is nothing and nothing is known to have been, it is that of the whole table.
        """
        if not prefix:
            return self.changed
        newest = max((entry.modify_index for entry in entries), default=0)
        newest = max(newest, self.gone.newest_under(as_name(prefix)))
        return max(newest, self.gone.floor) if newest else self.changed
