"""The tables against models that are too simple to be wrong."""

from hypothesis import given
from hypothesis import strategies as st

from raftreg.commands import CheckUpdate, Command, Deregister, KVDelete, KVSet, Ok, Register, Request
from raftreg.model import Check, Node, Service
from raftreg.state import State, queries
from tests.state.strategies import (
    KEYS,
    PREFIXES,
    check_ids,
    check_records,
    ids,
    kv_commands,
    nodes,
    service_records,
    statuses,
)


class SimpleKV:
    """A dict of (value, flags, create_index, modify_index), and when each key went."""

    def __init__(self) -> None:
        self.entries: dict[str, tuple[bytes, int, int, int]] = {}
        self.gone: dict[str, int] = {}
        self.changed = 1

    def apply(self, index: int, command: Command) -> bool:
        """Apply one command; its result."""
        match command:
            case KVSet(key, value, flags, cas):
                old = self.entries.get(key)
                if cas is not None and cas != (old[3] if old else 0):
                    return False
                if old is None or old[:2] != (value, flags):
                    self.entries[key] = (value, flags, old[2] if old else index, index)
                    self.changed = index
            case KVDelete(key, cas):
                if key in self.entries and cas is not None and cas != self.entries[key][3]:
                    return False
                self._drop([key], index)
            case _:
                prefix = getattr(command, "prefix")  # noqa: B009 - a tree is all that is left
                self._drop([key for key in self.entries if _under(key, prefix)], index)
        return True

    def _drop(self, keys: list[str], index: int) -> None:
        for key in keys:
            if self.entries.pop(key, None):
                self.gone[key] = self.changed = index

    def index_under(self, prefix: str) -> int:
        """The last change below the prefix, or of the table if there never was one."""
        below = [entry[3] for key, entry in self.entries.items() if _under(key, prefix)]
        below += [index for key, index in self.gone.items() if _under(key, prefix)]
        return max(below, default=self.changed)


def _under(key: str, prefix: str) -> bool:
    return _bytes(key).startswith(_bytes(prefix))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


@given(st.lists(kv_commands, min_size=12, max_size=40))
def test_kv_table_is_a_dict_with_indexes(sequence: list[Command]) -> None:
    """Results, entries, order and indexes are those of a plain dict, key by key and prefix by prefix."""
    state, simple = State(), SimpleKV()
    for number, command in enumerate(sequence):
        applied = state.apply(Request(b"%d" % number, 0, command))
        assert Ok(state.index, simple.apply(state.index, command)) == applied.result
        for key in KEYS:
            found = queries.KVGet(key).run(state)
            entry = found.value and (
                found.value.value,
                found.value.flags,
                found.value.create_index,
                found.value.modify_index,
            )
            expected = simple.entries.get(key)
            assert expected == entry
            assert (expected[3] if expected else simple.changed) == found.index
        for prefix in PREFIXES:
            listed = queries.KVList(prefix).run(state)
            expected_keys = sorted((key for key in simple.entries if _under(key, prefix)), key=_bytes)
            assert expected_keys == [item.key for item in listed.value]
            assert simple.index_under(prefix) == listed.index


class SimpleCatalog:
    """Contents without indexes: nodes, (node, id) to service, (node, id) to (status, output, service id)."""

    def __init__(self) -> None:
        self.nodes: dict[str, str] = {}
        self.services: dict[tuple[str, str], str] = {}
        self.checks: dict[tuple[str, str], tuple[str, str, str]] = {}

    def apply(self, command: Command) -> object:
        """Apply one command; its result, or None if it is refused."""
        match command:
            case Register():
                return self._register(command)
            case Deregister(node, service_id, check_id):
                self._deregister(node.lower(), service_id, check_id)
                return True
            case CheckUpdate(node, check_id, status, output):
                at = (node.lower(), check_id)
                if at not in self.checks:
                    return False
                self.checks[at] = (status, output, self.checks[at][2])
                return True
        raise AssertionError(command)

    def _register(self, command: Register) -> bool | None:
        place, service = command.node_name.lower(), command.service
        present = {service_id for node, service_id in self.services if node == place} | {""}
        if service is not None:
            present.add(service.id)
        if command.node is None and place not in self.nodes:
            return None
        if any(check.service_id not in present for check in command.checks):
            return None
        if command.node is not None:
            self.nodes[place] = command.node.address
        if service is not None:
            self.services[place, service.id] = service.name
            if command.replace_checks:
                kept = {check.id for check in command.checks}
                for at, (_, _, owner) in list(self.checks.items()):
                    if at[0] == place and owner == service.id and at[1] not in kept:
                        del self.checks[at]
        for check in command.checks:
            self.checks[place, check.id] = (check.status, check.output, check.service_id)
        return True

    def _deregister(self, place: str, service_id: str | None, check_id: str | None) -> None:
        if service_id:
            if self.services.pop((place, service_id), None):
                for at, (_, _, owner) in list(self.checks.items()):
                    if at[0] == place and owner == service_id:
                        del self.checks[at]
        elif check_id:
            self.checks.pop((place, check_id), None)
        elif self.nodes.pop(place, None):
            self.services = {at: name for at, name in self.services.items() if at[0] != place}
            self.checks = {at: check for at, check in self.checks.items() if at[0] != place}


def _contents(state: State) -> SimpleCatalog:
    """What the queries say, as a simple catalog."""
    seen = SimpleCatalog()
    for node in queries.Nodes().run(state).value:
        place = node.name.lower()
        seen.nodes[place] = node.address
        found = queries.NodeServices(node.name).run(state).value
        assert found is not None
        for service in found[1]:
            seen.services[place, service.id] = service.name
        for _, check in queries.NodeChecks(node.name).run(state).value:
            seen.checks[place, check.id] = (check.status, check.output, check.service_id)
    return seen


plain_registrations = st.builds(
    Register,
    nodes,
    st.none() | st.builds(Node, nodes, st.just(""), st.sampled_from(("10.0.0.1", "10.0.0.2"))),
    st.none() | service_records,
    st.lists(check_records, max_size=2).map(tuple),
    st.booleans(),
)
plain_commands: st.SearchStrategy[Command] = st.one_of(
    plain_registrations,
    plain_registrations,
    st.builds(Deregister, nodes, st.none() | ids, st.none() | check_ids),
    st.builds(CheckUpdate, nodes, check_ids, statuses, st.sampled_from(("", "o"))),
)


@given(st.lists(plain_commands, min_size=12, max_size=40))
def test_catalog_is_three_dicts(sequence: list[Command]) -> None:
    """Results and contents are those of three plain dicts, and lookups by name agree with them."""
    state, simple = State(), SimpleCatalog()
    for number, command in enumerate(sequence):
        result = state.apply(Request(b"%d" % number, 0, command)).result
        assert simple.apply(command) == (result.value if isinstance(result, Ok) else None)
        assert vars(simple) == vars(_contents(state))
        for name in ("web", "db"):
            _health_agrees(state, simple, name)


def _health_agrees(state: State, simple: SimpleCatalog, name: str) -> None:
    places = sorted(at for at, service in simple.services.items() if service.lower() == name)
    health = queries.ServiceHealth(name.upper()).run(state).value
    assert places == [(service.node.lower(), service.id) for _, service, _ in health]
    for _, service, checks in health:
        expected = {check for check, at in _checks_of(simple, service)}
        assert expected == {check.id for check in checks}
        assert all(_bound(check, service) for check in checks)


def _checks_of(simple: SimpleCatalog, service: Service) -> list[tuple[str, str]]:
    return [
        (check_id, owner)
        for (node, check_id), (_, _, owner) in simple.checks.items()
        if node == service.node.lower() and owner in ("", service.id)
    ]


def _bound(check: Check, service: Service) -> bool:
    """A check of a service has its name and tags, one of a node has neither."""
    if check.service_id == "":
        return (check.service_name, check.service_tags) == ("", None)
    return (check.service_name, check.service_tags) == (service.name, service.tags)
