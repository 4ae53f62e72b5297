"""What is judged when a run is over: everybody serves, all hold the same, and the history of the clients is sound."""

from raftreg.checkers import linearizability, monotonic, watches
from raftreg.sim.cluster import Cluster
from raftreg.sim.host import Host
from raftreg.sim.member_checks import shown

WAKE_PATIENCE_S = 0.01  # a blocking query answers at the moment of the change


def _members(cluster: Cluster) -> list[Host]:
    """The hosts with the disks of members. A stranger, or a member that was removed, has to say nothing."""
    members = cluster.members()
    found = [cluster.host_of(member) for member in sorted(members.all)] if members is not None else []
    return [host for host in found if host is not None]


def _story(cluster: Cluster) -> str:
    """How the members stand, for people."""
    rows = []
    for host in cluster.hosts.values():
        engine = host.engine
        if engine is not None:
            state = (
                f"term {engine.raftCurrentTerm}, last {engine.journal.last}, commit {engine.raftCommitIndex}"
            )
            rows.append(f"{host.name}{'*' if engine.leading else ''} {state} {shown(engine.members)}")
    return "; ".join(rows)


def check_led(cluster: Cluster) -> None:
    """Liveness: some time after healing there is a leader that every member follows, and they are the right ones."""
    views = {}
    for host in _members(cluster):
        views[host.name] = host.node.status().leader_name if host.node is not None else None
    if cluster.profile.membership is not None and not cluster.operator.done():
        cluster.checks.violated("liveness", f"after healing the members are not in order: {_story(cluster)}")
    if len(set(views.values())) != 1 or None in views.values():
        cluster.checks.violated("liveness", f"after healing the nodes follow {views}")


def check_end(cluster: Cluster) -> None:
    """Everybody runs, and has the same; nothing that was acknowledged is missing; the history is sound."""
    checks = cluster.checks
    checks.check_logs()
    states = {}
    for host in _members(cluster):
        if host.registry is None or host.node is None:
            checks.violated("liveness", f"{host.name} does not run")
            continue
        states[host.name] = (host.node.status().applied_index, host.registry.state.digest())
        missing = [key for key, acked in cluster.ledger if acked and host.registry.state.kv.get(key) is None]
        if missing:
            text = f"{host.name} lacks {len(missing)} acknowledged writes, first {missing[0]}"
            checks.violated("durability", text)
    if len(set(states.values())) != 1:
        checks.violated("digests", f"in the end the nodes differ: {states}")
    _check_history(cluster)


def _check_history(cluster: Cluster) -> None:
    registers = [each for each in cluster.operations if each.key.startswith("r")]
    proof = linearizability.check(registers)
    if proof is not None:
        cluster.checks.violated("linearizability", str(proof))
    for step in monotonic.check(cluster.sightings):
        cluster.checks.violated("steps back", str(step))
    for fault in watches.check(cluster.watches, cluster.checks.changes, WAKE_PATIENCE_S):
        cluster.checks.violated("blocking query", str(fault))
