"""The key-value table, with the locks on its keys. Which session may take one is decided in `locks`."""

from collections.abc import Iterable
from dataclasses import replace

from raftreg.commands import KVDelete, KVDeleteTree, KVLock, KVSet, KVUnlock
from raftreg.model import KVEntry
from raftreg.state.changes import Changes
from raftreg.state.ordered import OrderedKeys
from raftreg.state.tombstones import Tombstones, as_name


class KVTable:
    """Entries by key, their order, and when deleted keys went. `changed` numbers the last change of any key.

    `held` has the keys whose locks a session holds, by the session's id.
    """

    def __init__(self, gone: Tombstones, changed: int = 1, entries: Iterable[KVEntry] = ()) -> None:
        self.changed = changed
        self.gone = gone
        self.entries = {as_name(entry.key): entry for entry in entries}
        self.order = OrderedKeys(self.entries)
        self.held: dict[str, set[bytes]] = {}
        for name, entry in self.entries.items():
            if entry.session is not None:
                self.held.setdefault(entry.session, set()).add(name)

    def set(self, changes: Changes, command: KVSet) -> bool:
        """Store a value, or answer False because `cas` does not match.

        The lock stays with its holder, but the count of locks begins again, as in Consul.
        """
        name = as_name(command.key)
        old = self.entries.get(name)
        if command.cas is not None and command.cas != (0 if old is None else old.modify_index):
            return False
        index = changes.index
        if old is None:
            entry = KVEntry(command.key, command.value, command.flags, 0, None, index, index)
            self.order.add(name)
            self.gone.forget(name)
        elif (old.value, old.flags, old.lock_index) == (command.value, command.flags, 0):
            return True
        else:
            entry = KVEntry(old.key, command.value, command.flags, 0, old.session, old.create_index, index)
        self.entries[name] = entry
        self._touch(changes, command.key)
        return True

    def lock(self, changes: Changes, command: KVLock) -> bool:
        """Store a value and take the lock for a session that is there; False if another one holds it."""
        name = as_name(command.key)
        old = self.entries.get(name)
        if old is not None and old.session is not None:
            if old.session != command.session:
                return False
            if (old.value, old.flags) != (command.value, command.flags):
                self._replace(changes, name, replace(old, value=command.value, flags=command.flags))
            return True
        self.held.setdefault(command.session, set()).add(name)
        if old is None:
            self.order.add(name)
            self.gone.forget(name)
            old = KVEntry(command.key, b"", 0, 0, None, changes.index, changes.index)
        count = (old.lock_index + 1) % 2**64  # An archive may have said any number that 64 bits hold.
        entry = replace(old, value=command.value, flags=command.flags, lock_index=count)
        self._replace(changes, name, replace(entry, session=command.session))
        return True

    def unlock(self, changes: Changes, command: KVUnlock) -> bool:
        """Store a value and give the lock back; False if that session does not hold it."""
        name = as_name(command.key)
        old = self.entries.get(name)
        if old is None or old.session is None or old.session != command.session:
            return False
        self._let_go(name, old.session)
        self._replace(changes, name, replace(old, value=command.value, flags=command.flags, session=None))
        return True

    def end_locks(self, changes: Changes, session_id: str, *, delete: bool) -> list[bytes]:
        """Release, or delete, all that a session holds; the names of these keys, in order."""
        names = sorted(self.held.get(session_id, ()))
        for name in names:
            if delete:
                self._remove(changes, name)
            else:
                self._let_go(name, session_id)
                self._replace(changes, name, replace(self.entries[name], session=None))
        return names

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
        prefix = as_name(command.prefix)
        names = list(self.order.under(prefix))
        for name in names:
            entry = self.entries.pop(name)
            if entry.session is not None:
                self._let_go(name, entry.session)
            self._touch(changes, entry.key)
        if names:
            self.order.remove_under(prefix)
            self.gone.bury_all(names, changes.index)
        return True

    def _remove(self, changes: Changes, name: bytes) -> None:
        entry = self.entries.pop(name)
        if entry.session is not None:
            self._let_go(name, entry.session)
        self.order.remove(name)
        self.gone.bury(name, changes.index)
        self._touch(changes, entry.key)

    def _replace(self, changes: Changes, name: bytes, entry: KVEntry) -> None:
        self.entries[name] = replace(entry, modify_index=changes.index)
        self._touch(changes, entry.key)

    def _let_go(self, name: bytes, session_id: str) -> None:
        names = self.held[session_id]
        names.remove(name)
        if not names:
            del self.held[session_id]

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
