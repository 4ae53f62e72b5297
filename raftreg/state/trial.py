"""A small copy of what some operations can reach, to try them on.

What they can reach: the keys that they name, all below the prefixes that they name; the nodes that they name, with all
that is on them; the sessions of those nodes and those that they name, and the keys that these hold. The copy answers
as the tables do, its indexes of queries aside, which nobody asks it for.
"""

from collections.abc import Sequence

from raftreg.model import Session
from raftreg.state.catalog import Catalog, Counters
from raftreg.state.changes import fold
from raftreg.state.kv import KVTable
from raftreg.state.prepared import PreparedTable
from raftreg.state.sessions import SessionTable
from raftreg.state.tables import Core
from raftreg.state.tombstones import Tombstones, as_name
from raftreg.transactions import Operation

_PREFIXES = frozenset({"get-tree", "delete-tree"})


def copy_of(core: Core, operations: Sequence[Operation]) -> Core:
    """The part of the tables that the operations can reach. Records are shared, as they never change."""
    places = _places(core, operations)
    catalog = _catalog(core.catalog, places)
    named = (core.sessions.get(step.kv.session) for step in operations if step.kv is not None)
    sessions = {session.id: session for session in named if session is not None}
    for place in places:
        sessions.update((session.id, session) for session in core.sessions.on_node(place))
    names = _names(core, operations, sessions)
    entries = [core.kv.entries[name] for name in names if name in core.kv.entries]
    delays = [(name, core.sessions.delays[name]) for name in names if name in core.sessions.delays]
    return Core(
        kv=KVTable(_forgetful(), entries=entries),
        catalog=catalog,
        sessions=SessionTable(sessions=sessions.values(), delays=delays),
        prepared=PreparedTable(),
    )


def _forgetful() -> Tombstones:
    return Tombstones(0)


def _names(core: Core, operations: Sequence[Operation], sessions: dict[str, Session]) -> set[bytes]:
    """The keys, those of the sessions included."""
    names: set[bytes] = set()
    for step in operations:
        if step.kv is not None:
            name = as_name(step.kv.key)
            names.update(core.kv.order.under(name) if step.verb in _PREFIXES else (name,))
    for session_id in sessions:
        names.update(core.kv.held.get(session_id, ()))
    return names


def _places(core: Core, operations: Sequence[Operation]) -> list[str]:
    """The folded names of the nodes, also of one that is known by an id that is named."""
    places: set[str] = set()
    for step in operations:
        if step.node is not None:
            places.add(fold(step.node.name))
            places.add(core.catalog.name_of_id.get(step.node.id, ""))
        for record in (step.service, step.check):
            if record is not None:
                places.add(fold(record.node))
    return [place for place in sorted(places) if place in core.catalog.hosts]


def _catalog(catalog: Catalog, places: Sequence[str]) -> Catalog:
    part = Catalog(_forgetful(), _forgetful(), Counters())
    hosts = [catalog.hosts[place] for place in places]
    part.restore(
        (host.node for host in hosts),
        (service for host in hosts for service in host.services.values()),
        (check for host in hosts for check in host.checks.values()),
    )
    return part
