"""Accidents with data directories on running clusters: said on both sides, and the rest goes on without loss."""

import shutil
import signal

import pytest

from tests.e2e.cluster import Cluster, Node, wait_until
from tests.e2e.witness import Witness, acks_again, witnessed


def copy(source: Node, target: Node) -> None:
    """What `cp -a` makes of a data directory, whether its node runs or not."""
    shutil.copytree(source.data, target.data, dirs_exist_ok=True)


def exit_line(node: Node) -> str:
    """The last line of a process that ends because an operator has to mend something."""
    code = node.wait()
    lines = node.log.read_text().splitlines()
    assert 1 == code, lines[-10:]
    assert "ERROR" in lines[-1], lines[-10:]
    return lines[-1]


def logs(nodes: list[Node]) -> str:
    """All that these nodes logged."""
    return "".join(node.log.read_text() for node in nodes)


def others(cluster: Cluster, node: Node) -> list[Node]:
    """The other members."""
    return [other for other in cluster.nodes.values() if other.name != node.name]


def is_in(node: Node) -> bool:
    """Whether a node is ready and every peer has let it in; False also if its process ends right now."""
    try:
        return node.get("/readyz").status == 200 and all(peer["Connected"] for peer in node.status()["Peers"])
    except OSError:
        return False


def readiness(node: Node) -> str | None:
    """Why a node is not ready; None if it is, or does not answer yet."""
    try:
        reply = node.get("/readyz")
    except OSError:
        return None
    return reply.text if reply.status == 503 else None


def what_became_of(node: Node) -> str:
    """Whether a node that was started is in with every peer or has ended; "" if neither."""
    assert node.process is not None
    if node.process.poll() is not None:
        return "ended"
    return "in" if is_in(node) else ""


def only_with(node: Node, other: Node, witness: Witness) -> None:
    """Let there be writes that were acknowledged because this follower had acknowledged them, and not the other."""
    other.signal(signal.SIGSTOP)
    for _ in range(3 * len(witness.ports)):
        acks_again(witness)
    other.signal(signal.SIGCONT)
    wait_until("everybody is in", lambda: is_in(node) and is_in(other))


@pytest.fixture
def cluster(cluster: Cluster) -> Cluster:
    """Three nodes that have all met one another: who has not met the original takes a copy for it."""
    for node in cluster.running():
        wait_until(f"{node.name} is in", lambda node=node: is_in(node))  # type: ignore[misc]  # a default of its own
    return cluster


@pytest.mark.parametrize("role", ["leader", "follower"])
def test_an_empty_directory_under_a_members_name(cluster: Cluster, role: str) -> None:
    """A member that lost its disk comes back as a stranger, which says what to run; the other two go on."""

    def accident(witness: Witness) -> None:
        node = cluster.leader() if role == "leader" else cluster.followers()[0]
        node.kill()
        shutil.rmtree(node.data)
        node.start()
        command = f"raftreg operator raft replace {node.name}"
        wait_until("the leader says so", lambda: command in cluster.leader().log.read_text())
        wait_until("it says so", lambda: command in (readiness(node) or ""))
        assert f"this node is no member of cluster {cluster.leader().status()['ClusterID']}" in logs([node])
        acks_again(witness)
        node.kill()

    assert [] == witnessed(cluster, accident).violations


@pytest.mark.parametrize("role", ["leader", "follower"])
def test_a_copy_beside_the_living_original(cluster: Cluster, role: str) -> None:
    """The second process ends with a line that says what it is; its peers say so too, and keep the first."""

    def accident(witness: Witness) -> None:
        node = cluster.leader() if role == "leader" else cluster.followers()[0]
        guest = cluster.guest(node.name, "copy")
        copy(node, guest)
        acks_again(witness)
        guest.start()
        line = exit_line(guest)
        assert "two processes run on copies of one data directory" in line
        assert "copies of one data directory" in logs(others(cluster, node))
        wait_until("the original is in", lambda: is_in(node))

    assert [] == witnessed(cluster, accident).violations


def test_a_copy_of_before_after_the_original_went_on(cluster: Cluster) -> None:
    """A restored backup shows a start that was seen already and ends, however often it is started.

    A service manager starts it again and again: neither may it climb over the count of the original, nor use it up.
    """

    def accident(witness: Witness) -> None:
        node = cluster.followers()[0]
        guest = cluster.guest(node.name, "backup")
        copy(node, guest)
        for _ in range(2):
            node.kill()
            cluster.start(node.name)
        node.kill()
        acks_again(witness)
        guest.start()
        assert "is an old copy" in exit_line(guest)
        assert f"refused {node.name}" in logs(others(cluster, node))
        for _ in range(4):
            guest.start()
            assert "found to be an old copy and not used any more" in exit_line(guest)
        cluster.start(node.name)
        wait_until("the original is in", lambda: is_in(node))

    assert [] == witnessed(cluster, accident).violations


def test_a_copy_made_while_the_original_ran_after_its_end(cluster: Cluster) -> None:
    """Its count of starts is the next one, but the leader knows entries that it acknowledged and has not.

    The copy ends before it acted as the member, so the original does not find its start used up.
    """

    def accident(witness: Witness) -> None:
        node, other = cluster.followers()
        guest = cluster.guest(node.name, "copy")
        copy(node, guest)
        only_with(node, other, witness)
        term = cluster.leader().status()["Term"]
        node.kill()
        guest.start()
        if wait_until("the copy is in or ended", lambda: what_became_of(guest) or None) == "in":
            # There was an election meanwhile, and the new leader knows nothing of those acks.
            assert term < cluster.leader().status()["Term"]
            return
        assert "it had acknowledged entry" in exit_line(guest)
        assert f"refused {node.name}" in cluster.leader().log.read_text()
        cluster.start(node.name)
        wait_until("the original is in", lambda: is_in(node))

    assert [] == witnessed(cluster, accident).violations


def test_a_directory_moved_to_another_address(cluster: Cluster) -> None:
    """The same member at another address needs nothing but new --peers on each node, one after the other."""

    def accident(witness: Witness) -> None:
        moving = cluster.followers()[0]
        moving.kill()
        guest = cluster.guest(moving.name, "moved")
        shutil.move(moving.data, guest.data)
        peers = cluster.peers.replace(f":{moving.raft}", f":{guest.raft}")
        cluster.guests.remove(guest)
        cluster.nodes[moving.name] = guest
        guest.arguments += ["--peers", peers]
        guest.start()
        for node in others(cluster, guest):
            node.kill()
            node.arguments += ["--peers", peers]
            cluster.start(node.name)
            acks_again(witness)
        wait_until("the moved node is ready", guest.is_ready)

    assert [] == witnessed(cluster, accident).violations


def test_a_clone_of_the_whole_cluster_beside_the_first(cluster: Cluster) -> None:
    """Clones that reach originals are refused; nobody leads twice, and the first cluster goes on."""

    def accident(witness: Witness) -> None:
        clones = [cluster.guest(name, f"clone-{name}") for name in cluster.nodes]
        for clone in clones:
            copy(cluster[clone.name], clone)
        acks_again(witness)
        for clone in clones:
            # Each clone reaches itself at its own address, and everybody else at that of the original.
            own = cluster[clone.name]
            clone.arguments += ["--peers", cluster.peers.replace(f":{own.raft}", f":{clone.raft}")]
            clone.start()
        for clone in clones:
            assert "two processes run on copies of one data directory" in exit_line(clone)
        for node in cluster.running():
            wait_until(f"{node.name} is in", lambda node=node: is_in(node))  # type: ignore[misc]  # see above

    assert [] == witnessed(cluster, accident).violations
