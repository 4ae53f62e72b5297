"""Small worlds for hypothesis: few names, so that commands meet each other, in many spellings."""

from collections.abc import Iterable

from hypothesis import strategies as st

from raftreg.cluster_commands import (
    AutopilotSet,
    ConfigDelete,
    ConfigSet,
    CoordinatesUpdate,
    FireEvent,
    RestoreAbandon,
    RestoreBegin,
    RestoreChunk,
    RestoreCommit,
)
from raftreg.commands import (
    CheckUpdate,
    Command,
    Deregister,
    KVDelete,
    KVDeleteTree,
    KVLock,
    KVSet,
    KVUnlock,
    LockDelaysEnd,
    Register,
    Rehome,
    Request,
    SessionCreate,
    SessionDestroy,
    SessionExpire,
    SessionsKeep,
    encode_batch,
    encode_request,
)
from raftreg.model import (
    Autopilot,
    Check,
    ConfigEntry,
    Coordinate,
    Event,
    Node,
    PreparedQuery,
    Probe,
    Service,
    ServiceQuery,
    Session,
    Template,
    Weights,
)
from raftreg.query_commands import QueryDelete, QueryPut
from raftreg.state import Query, cluster_queries, prepared_queries, queries
from raftreg.transactions import KVOperand, Operation, Transaction

KEYS = ("a", "a/1", "a/2", "ab", "b/1", "ä", "\udcff", "")
PREFIXES = ("", "a", "a/", "b", "z", "\udcff")
NODES = ("n1", "N1", "n2", "n3")
NAMES = ("web", "Web", "db")
IDS = ("web", "s1")
CHECK_IDS = ("c1", "c2", "serfHealth")
STATUSES = ("passing", "warning", "critical")
SESSIONS = tuple(f"00000000-0000-0000-0000-00000000000{number}" for number in (1, 2, 3))

keys, nodes, names, ids = (st.sampled_from(values) for values in (KEYS, NODES, NAMES, IDS))
check_ids, statuses = st.sampled_from(CHECK_IDS), st.sampled_from(STATUSES)
casses = st.none() | st.integers(0, 30)

kv_commands: st.SearchStrategy[Command] = st.one_of(
    st.builds(
        KVSet, keys, st.sampled_from((b"", b"x", b"\x00\xff")), st.sampled_from((0, 1, 2**64 - 1)), casses
    ),
    st.builds(KVDelete, keys, casses),
    st.builds(KVDeleteTree, st.sampled_from(PREFIXES)),
)

free_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


free_maps = st.none() | st.dictionaries(st.text(max_size=5), free_values, max_size=3)
text_maps = st.none() | st.dictionaries(st.sampled_from(("k", "rack")), st.sampled_from(("1", "2")))
tags = st.sampled_from((None, (), ("x",), ("y", "x")))


def node_records(names: st.SearchStrategy[str]) -> st.SearchStrategy[Node]:
    """Nodes of these names, some with one of two ids."""
    return st.builds(
        Node,
        names,
        st.sampled_from(("", "", "id-1", "id-2")),
        st.sampled_from(("10.0.0.1", "10.0.0.2")),
        meta=text_maps,
    )


service_records = st.builds(
    Service,
    st.just(""),
    ids,
    names,
    tags,
    st.sampled_from(("", "10.1.1.1")),
    st.sampled_from((0, 80)),
    weights=st.builds(Weights, st.just(1), st.sampled_from((1, 2))),
)
probes = st.none() | st.builds(Probe, st.just("ttl"), ttl_s=st.sampled_from((10.0, 15.0)))
check_records = st.builds(
    Check,
    st.just(""),
    check_ids,
    check_ids,
    statuses,
    output=st.sampled_from(("", "o")),
    service_id=st.sampled_from(("", "web", "web", "s1")),
    probe=probes,
)
registrations = st.builds(
    Register,
    nodes,
    st.one_of(st.none(), node_records(nodes), node_records(nodes)),
    st.one_of(st.none(), service_records, service_records),
    st.lists(check_records, max_size=2).map(tuple),
    st.booleans(),
    st.booleans(),
    st.sampled_from(((), ("c1",), CHECK_IDS)),
)
catalog_commands: st.SearchStrategy[Command] = st.one_of(
    registrations,
    registrations,
    st.builds(Deregister, nodes, st.none() | ids, st.none() | check_ids),
    st.builds(Deregister, nodes),
    st.builds(Deregister, nodes, ids, st.none(), check_ids, st.integers(1, 30)),
    st.builds(
        CheckUpdate, nodes, check_ids, statuses, st.sampled_from(("", "o")), st.none() | st.integers(1, 30)
    ),
    st.builds(Rehome, nodes, nodes),
)
coordinates = st.builds(
    Coordinate,
    nodes,
    st.sampled_from(("", "s")),
    st.lists(st.floats(-1, 1), min_size=2, max_size=2).map(tuple),
    st.floats(0, 2),
    st.floats(0, 1),
    st.floats(0, 1),
)
cluster_commands: st.SearchStrategy[Command] = st.one_of(
    st.builds(
        FireEvent, st.builds(Event, st.sampled_from(("e1", "e2")), names, st.sampled_from((b"", b"x")))
    ),
    st.builds(
        ConfigSet,
        st.builds(
            ConfigEntry,
            st.sampled_from(("service-defaults", "other")),
            names,
            free_maps.map(lambda value: value or {}),
        ),
        casses,
    ),
    st.builds(ConfigDelete, st.sampled_from(("service-defaults", "other")), names),
    st.builds(CoordinatesUpdate, st.lists(coordinates, max_size=2).map(tuple)),
    st.builds(AutopilotSet, st.builds(Autopilot, st.booleans(), st.integers(0, 2**64 - 1)), casses),
)
restore_steps: st.SearchStrategy[Command] = st.one_of(
    st.builds(RestoreBegin, st.just("r"), st.integers(0, 9)),
    st.builds(RestoreChunk, st.just("r"), st.integers(0, 2), st.binary(max_size=5)),
    st.builds(RestoreCommit, st.just("r"), st.just("")),
    st.builds(RestoreAbandon, st.just("r")),
)
session_ids = st.sampled_from(SESSIONS)
session_records = st.builds(
    Session,
    session_ids,
    nodes,
    behavior=st.sampled_from(("release", "release", "delete")),
    lock_delay_ns=st.sampled_from((0, 0, 5, 2**62, -1)),
    checks=st.sampled_from((None, (), ("c1",), ("c1", "c2"))),
    node_checks=st.sampled_from(((), ("serfHealth",), ("c1",))),
    service_checks=st.sampled_from((None, (("c2", ""),))),
)
# Sessions need their node and checks: most that are made here get one that is there.
easy_sessions = st.builds(
    Session, session_ids, st.sampled_from(("n1", "N1")), lock_delay_ns=st.sampled_from((0, 5))
)
values = st.sampled_from((b"", b"x"))
session_commands: st.SearchStrategy[Command] = st.one_of(
    st.builds(SessionCreate, session_records),
    st.builds(SessionCreate, easy_sessions),
    st.builds(SessionCreate, easy_sessions),
    st.builds(SessionDestroy, session_ids),
    st.builds(SessionsKeep),
    st.builds(SessionExpire, session_ids, st.integers(0, 12)),
    st.builds(KVLock, keys, values, st.sampled_from((0, 1)), session_ids),
    st.builds(KVLock, keys, values, st.just(0), session_ids),
    st.builds(KVUnlock, keys, values, st.sampled_from((0, 1)), session_ids),
    st.builds(LockDelaysEnd, st.lists(st.tuples(keys, st.integers(0, 20)), max_size=3).map(tuple)),
)
QUERY_IDS = ("q1", "q2")
QUERY_NAMES = ("", "find", "Find", "find-", "q1")
prepared_records = st.builds(
    PreparedQuery,
    st.sampled_from(QUERY_IDS),
    st.sampled_from(QUERY_NAMES),
    st.builds(ServiceQuery, names, st.booleans(), tags=tags, node_meta=text_maps, failover_datacenters=tags),
    st.sampled_from(("", "", *SESSIONS)),
    template=st.builds(Template, st.sampled_from(("", "", "name_prefix_match"))),
)
prepared_commands: st.SearchStrategy[Command] = st.one_of(
    st.builds(QueryPut, prepared_records, st.booleans()),
    st.builds(QueryDelete, st.sampled_from(QUERY_IDS)),
)
operands = st.builds(
    KVOperand, keys, values, st.sampled_from((0, 1)), st.integers(0, 12), st.sampled_from(("", *SESSIONS))
)
verbs_of_keys = st.sampled_from(
    [
        "set",
        "set",
        "cas",
        "lock",
        "unlock",
        "get",
        "get-tree",
        "check-index",
        "check-session",
        "check-not-exists",
        "delete",
        "delete-cas",
        "delete-tree",
        "other",
    ]
)
verbs_of_records = st.sampled_from(("set", "set", "cas", "get", "delete", "delete-cas", "other"))
small_indexes = st.integers(0, 12)
operations = st.one_of(
    st.builds(Operation, verbs_of_keys, operands),
    st.builds(Operation, st.sampled_from(("set", "lock", "get-tree", "delete-tree")), operands),
    st.builds(
        Operation,
        verbs_of_records,
        node=st.builds(
            Node,
            nodes,
            st.sampled_from(("", "id-1", "id-2")),
            st.just("10.0.0.3"),
            modify_index=small_indexes,
        ),
    ),
    st.builds(
        Operation,
        verbs_of_records,
        service=st.builds(Service, nodes, ids, names, tags, modify_index=small_indexes),
    ),
    st.builds(
        Operation,
        verbs_of_records,
        check=st.builds(
            Check,
            nodes,
            check_ids,
            check_ids,
            statuses,
            service_id=st.sampled_from(("", "", "web")),
            modify_index=small_indexes,
        ),
    ),
)
transaction_commands: st.SearchStrategy[Command] = st.builds(
    Transaction, st.lists(operations, max_size=4).map(tuple)
)

commands = (
    kv_commands
    | catalog_commands
    | cluster_commands
    | session_commands
    | prepared_commands
    | transaction_commands
)


def requests_of(commands: st.SearchStrategy[Command]) -> st.SearchStrategy[Request]:
    """Commands under ids so few that some are repeated; `after` is of any age."""
    return st.builds(
        Request, st.integers(0, 40).map(lambda number: b"id %d" % number), st.integers(0, 60), commands
    )


def entry(requests: Iterable[Request]) -> bytes:
    """One log entry."""
    return encode_batch([encode_request(request) for request in requests])


def all_queries() -> list[Query[object]]:
    """Every query over the small world."""
    asked: list[Query[object]] = [queries.KVGet(key) for key in (*KEYS, "none")]
    asked += [queries.KVList(prefix) for prefix in PREFIXES]
    asked += [queries.KVKeys(prefix, "/") for prefix in PREFIXES]
    asked += [
        queries.Nodes(),
        queries.AllChecks(),
        queries.ServiceTags(),
        queries.ServiceTags((("rack", "1"),)),
    ]
    asked += [queries.StateChecks(status) for status in ("any", *STATUSES)]
    for node in (*NODES, "none"):
        asked += [queries.NodeServices(node), queries.NodeChecks(node)]
        asked += [queries.CheckById(node, check_id) for check_id in CHECK_IDS]
    for name in (*NAMES, "none"):
        asked += [queries.ServiceNodes(name), queries.ServiceHealth(name), queries.ServiceChecks(name)]
    asked += [cluster_queries.RecentEvents(), cluster_queries.AutopilotConfig()]
    asked += [cluster_queries.ConfigList(""), cluster_queries.AllCoordinates()]
    asked += [cluster_queries.ConfigGet("service-defaults", name) for name in NAMES]
    asked += [cluster_queries.NodeCoordinates(node) for node in NODES]
    asked += [prepared_queries.PreparedQueries()]
    asked += [prepared_queries.PreparedQueryById(query_id) for query_id in QUERY_IDS]
    asked += [prepared_queries.PreparedQueryFor(name) for name in (*QUERY_NAMES, "find-x", "none")]
    asked += [queries.ServicesById(service_id) for service_id in IDS]
    asked += [queries.ChecksById(check_id) for check_id in CHECK_IDS]
    asked += [queries.SessionById(session_id) for session_id in (*SESSIONS, "none")]
    asked += [queries.Sessions(), queries.LockDelays()]
    asked += [queries.NodeSessions(node) for node in (*NODES, "none")]
    return asked
