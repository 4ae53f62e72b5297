"""The configuration entries, by kind and name. What an entry may say is the business of the API."""

from collections.abc import Iterable
from dataclasses import replace

from raftreg.cluster_commands import ConfigDelete, ConfigSet
from raftreg.model import ConfigEntry
from raftreg.state.changes import CONFIG, Changes, fold


class ConfigEntries:
    """Entries by kind and folded name. `changed` numbers the last change of any, a removal included."""

    def __init__(self, changed: int = 1, rows: Iterable[ConfigEntry] = ()) -> None:
        self.changed = changed
        self._entries = {(row.kind, fold(row.name)): row for row in rows}

    def set(self, changes: Changes, command: ConfigSet) -> bool:
        """Store an entry, or answer False because `cas` does not match. The same once more is a change."""
        given = command.entry
        key = given.kind, fold(given.name)
        old = self._entries.get(key)
        if command.cas is not None and command.cas != (0 if old is None else old.modify_index):
            return False
        created = changes.index if old is None else old.create_index
        self._entries[key] = replace(given, create_index=created, modify_index=changes.index)
        self._touch(changes)
        return True

    def delete(self, changes: Changes, command: ConfigDelete) -> bool:
        """Remove an entry. An absent one is as good as removed."""
        if self._entries.pop((command.kind, fold(command.name)), None) is not None:
            self._touch(changes)
        return True

    def _touch(self, changes: Changes) -> None:
        self.changed = changes.index
        changes.touch(CONFIG)

    def get(self, kind: str, name: str) -> ConfigEntry | None:
        """The entry, or None."""
        return self._entries.get((kind, fold(name)))

    def rows(self, kind: str = "") -> list[ConfigEntry]:
        """All entries, or those of one kind, by kind and name, as a list of its own."""
        return [self._entries[key] for key in sorted(self._entries) if kind in ("", key[0])]
