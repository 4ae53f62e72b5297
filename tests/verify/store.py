"""A small store with the surface that the verifier uses, correct unless a bug is planted in it.

One state for all its nodes, so that without a bug every answer is right. A bug shows in one answer out of a few.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

EVERY = 5  # a planted bug shows each so often


@dataclass(frozen=True, slots=True)
class Entry:
    """One key."""

    value: bytes
    created: int
    modified: int
    lock_index: int = 0
    session: str = ""

    def row(self, key: str) -> dict[str, Any]:
        """As the API shows it."""
        shown = {
            "LockIndex": self.lock_index,
            "Key": key,
            "Flags": 0,
            "Value": base64.b64encode(self.value).decode() or None,
            "CreateIndex": self.created,
            "ModifyIndex": self.modified,
        }
        return shown | ({"Session": self.session} if self.session else {})


@dataclass(slots=True)
class Store:
    """Keys, sessions, services and checks, with at most one bug in them."""

    bug: str = ""
    index: int = 10
    keys: dict[str, Entry] = field(default_factory=dict)
    before: dict[str, Entry] = field(default_factory=dict)  # each key as it was one change ago
    past: list[dict[str, Entry]] = field(default_factory=list)  # all keys, after each transaction that wrote
    sessions: set[str] = field(default_factory=set)
    services: dict[str, str] = field(default_factory=dict)  # instance -> service
    checks: dict[str, dict[str, Any]] = field(default_factory=dict)
    _turns: "count[int]" = field(default_factory=lambda: count(1))
    _names: "count[int]" = field(default_factory=lambda: count(1))

    def strikes(self, bug: str) -> bool:
        """Whether this bug is planted, and its turn has come."""
        return self.bug == bug and next(self._turns) % EVERY == 0

    # Keys.

    def put(self, key: str, value: bytes, query: Mapping[str, str]) -> bool:
        """Plain, compare-and-set, acquire and release."""
        entry = self.keys.get(key)
        if "acquire" in query or "release" in query:
            return self._lock(key, value, entry, query)
        is_wrong = "cas" in query and int(query["cas"]) != (entry.modified if entry else 0)
        if is_wrong and not (entry and "register" in key and self.strikes("cas-wins-twice")):
            return False
        if "/set/" in key and self.strikes("lost-write"):
            return True
        self.store(key, value)
        return not ("/set/" in key and self.strikes("applied-twice"))

    def store(self, key: str, value: bytes, **changes: Any) -> None:
        """One change."""
        self.index += 1
        self._write(key, value, **changes)

    def _write(self, key: str, value: bytes, **changes: Any) -> None:
        entry = self.keys.get(key)
        if entry is not None:
            self.before[key] = entry
        base = entry or Entry(b"", self.index, self.index)
        self.keys[key] = replace(base, value=value, modified=self.index, **changes)

    def delete(self, key: str, *, recurse: bool) -> None:
        """One key, or all that begin so."""
        self.index += 1
        for name in [name for name in self.keys if name == key or (recurse and name.startswith(key))]:
            if not ("/set/" in name and not recurse and self.strikes("resurrected")):
                del self.keys[name]

    def _lock(self, key: str, value: bytes, entry: Entry | None, query: Mapping[str, str]) -> bool:
        holder, lock_index = (entry.session, entry.lock_index) if entry else ("", 0)
        if "release" in query:
            if holder != query["release"]:
                return self.bug == "shared-lock"
            self.store(key, value, session="")
            return True
        session = query["acquire"]
        if session not in self.sessions or holder not in ("", session):
            return session in self.sessions and self.strikes("shared-lock")
        grows = holder != session and not (lock_index and self.strikes("stuck-fence"))
        self.store(key, value, session=session, lock_index=lock_index + grows)
        return True

    def read(self, key: str, query: Mapping[str, str]) -> Entry | None:
        """One key, as a read in this mode is shown it."""
        old = self.before.get(key)
        is_hit = old is not None and "register" in key
        if is_hit and "consistent" in query and self.strikes("stale-consistent-read"):
            return old
        is_below = old is not None and old.modified < int(query.get("min-index", 0))
        if is_hit and is_below and self.strikes("min-index-ignored"):
            return old
        return self.keys.get(key)

    # Transactions.

    def transact(self, operations: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
        """The rows of all operations, None if one of them fails."""
        fields = [operation["KV"] for operation in operations]
        if not all(self._may(each) for each in fields):
            return None
        names = [each["Key"] for each in fields]
        if all(each["Verb"] == "get" for each in fields):
            return self._read_all(names)
        self.index += 1  # which all writes of a transaction share
        for each in fields:
            if each["Verb"] in ("set", "cas"):
                self._write(each["Key"], base64.b64decode(each["Value"]))
        self.past.append(dict(self.keys))
        return [{"KV": self.keys[name].row(name)} for name in names]

    def _read_all(self, names: list[str]) -> list[dict[str, Any]]:
        shown = dict.fromkeys(names, self.keys)
        if len(self.past) > 2 and self.strikes("stale-transaction"):
            shown = dict.fromkeys(names, self.past[-3])
        if len(self.past) > 2 and self.strikes("torn-transaction"):
            shown[names[0]] = self.past[-3]
        return [{"KV": table[name].row(name)} for name, table in shown.items()]

    def _may(self, fields: dict[str, Any]) -> bool:
        entry = self.keys.get(fields["Key"])
        match fields["Verb"]:
            case "cas":
                expected = fields["Index"] == (entry.modified if entry else 0)
                return expected or self.strikes("lost-update")
            case "check-session":
                return entry is not None and entry.session == fields["Session"]
            case "get":
                return entry is not None
        return True

    # Services.

    def register(self, document: dict[str, Any]) -> None:
        """An instance with its checks, a check of the node, or the node alone."""
        self.index += 1
        service = document.get("Service")
        if service and not self.strikes("dropped-registration"):
            self.services[service["ID"]] = service["Service"]
        for check in [*document.get("Checks", []), *([document["Check"]] if "Check" in document else [])]:
            if not ("Check" in document and self.strikes("lost-status")):
                self.checks[check["CheckID"]] = check | {"Node": document["Node"]}

    def deregister(self, document: dict[str, Any]) -> None:
        """An instance and its checks, or all checks of a node."""
        self.index += 1
        gone = document.get("ServiceID")
        if gone:
            self.services.pop(gone, None)
        for name, each in list(self.checks.items()):
            if each["Node"] == document["Node"] and gone in (None, each.get("ServiceID")):
                del self.checks[name]

    def instances(self, service: str) -> list[dict[str, Any]]:
        """As health/service shows them."""
        return [
            {
                "Service": {"ID": instance, "Service": service},
                "Checks": [check for check in self.checks.values() if check.get("ServiceID") == instance],
            }
            for instance, name in self.services.items()
            if name == service
        ]

    # Sessions.

    def create_session(self) -> str:
        """A new one."""
        name = f"session-{next(self._names)}"
        self.sessions.add(name)
        return name

    def destroy_session(self, session: str) -> None:
        """Its end frees what it holds."""
        self.sessions.discard(session)
        for key in [key for key, entry in self.keys.items() if entry.session == session]:
            self.store(key, self.keys[key].value, session="")
