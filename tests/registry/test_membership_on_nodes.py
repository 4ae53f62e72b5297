"""Growing, wiping and shrinking a cluster of real nodes in one process: log, sockets, duties and all."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from raftreg.clock import SystemClock
from raftreg.cluster_commands import AutopilotSet
from raftreg.commands import KVSet, Ok
from raftreg.consensus.node import RaftNode, RaftSettings
from raftreg.duties import Duties, autopilot
from raftreg.errors import NoLeader, Removed
from raftreg.model import Autopilot
from raftreg.registry import Registry, Replica, Wish
from raftreg.registry.recovering import Remains
from raftreg.state import State
from raftreg.state.queries import KVGet, Nodes
from tests.e2e.cluster import free_ports

NAMES = ("n1", "n2", "n3", "n4")
PATIENCE_S = 60.0


class Host:
    """A running node with its duties."""

    def __init__(self, node: RaftNode, registry: Registry, duties: Duties) -> None:
        self.node, self.registry, self.duties = node, registry, duties

    def voters(self) -> list[str]:
        """Names, as this node sees them."""
        return [peer.name for peer in self.node.status().peers if peer.voter]

    async def stop(self) -> None:
        """Stop it in order."""
        await self.duties.stop()
        await self.node.stop()


class Hosts:
    """Nodes by name; `fatal` holds what would have ended a process."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ports = dict(zip(NAMES, free_ports(len(NAMES)), strict=True))
        self.running: dict[str, Host] = {}
        self.fatal: list[BaseException] = []

    def address(self, name: str) -> tuple[str, int]:
        """Where a node listens."""
        return "127.0.0.1", self.ports[name]

    async def start(
        self, name: str, *, join: str = "", peers: dict[str, tuple[str, int]] | None = None
    ) -> Host:
        """A node in the directory of its name."""
        clock, replica = SystemClock(), Replica(State())
        settings = RaftSettings(
            name=name,
            data_dir=self.directory / name,
            listen=self.address(name),
            peers=peers or {},
            cluster_key=None,
            join=[self.address(join)] if join else [],
        )
        node = RaftNode(settings, replica, clock, self.fatal.append)
        registry = Registry(node, replica, clock, node_name=name, datacenter="dc1")
        uuid = f"00000000-0000-4000-8000-0000000000{name[1:]:0>2}"
        port = self.ports[name]
        duties = Duties(
            registry,
            node_id=uuid,
            address="127.0.0.1",
            raft_port=port,
            http_address=f"{name}:80",
            rejoin=True,
        )
        await node.start()
        await duties.start()
        host = self.running[name] = Host(node, registry, duties)
        return host

    async def stop(self, name: str) -> None:
        """Stop one."""
        await self.running.pop(name).stop()

    @property
    def leader(self) -> str:
        """The name of the one that leads, "" if none does."""
        leading = [name for name, host in self.running.items() if host.node.status().role == "leader"]
        return leading[0] if leading else ""

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until it holds."""
        async with asyncio.timeout(PATIENCE_S):
            while not true():  # noqa: ASYNC110 - several nodes are looked at, of which none tells of all of it
                await asyncio.sleep(0.05)
        assert [] == self.fatal


def check(directory: Path, scenario: Callable[[Hosts], Awaitable[None]]) -> None:
    """Run a scenario; what still runs at its end is stopped."""

    async def main() -> None:
        hosts = Hosts(directory)
        try:
            await scenario(hosts)
        finally:
            for host in hosts.running.values():
                await host.stop()

    asyncio.run(main())


async def check_life_of_a_cluster(hosts: Hosts) -> None:
    """1 -> 2 -> 3 voters, a wiped one comes back, the leader goes."""
    first = await hosts.start("n1", peers={"n1": hosts.address("n1")})
    await hosts.until(lambda: hosts.leader == "n1")
    await first.registry.write(AutopilotSet(Autopilot(server_stabilization_ns=200_000_000)))
    await first.registry.write(KVSet("key", b"value"))
    # n2 waits for a peer that is nowhere, until it is told where the cluster is.
    lost = {"n2": hosts.address("n2"), "n1": ("127.0.0.1", free_ports(1)[0])}
    second = await hosts.start("n2", peers=lost)
    second.node.join(hosts.address("n1"))
    await first.registry.membership.change(Wish("add", "n2"))
    await hosts.until(lambda: ["n1", "n2"] == second.voters())
    third = await hosts.start("n3", join="n1")
    await second.registry.membership.change(Wish("add", "n3"))
    await hosts.until(lambda: ["n1", "n2", "n3"] == third.voters())
    assert "n1" == await third.registry.membership.transfer("n1")
    await _wipe(hosts, "n3")
    leader = hosts.running["n1"].registry
    await leader.membership.change(Wish("remove", "n1"))
    await hosts.until(lambda: hosts.running["n1"].node.status().removed and hosts.leader in ("n2", "n3"))
    rest = hosts.running["n3"].registry
    await hosts.until(lambda: ["n2", "n3"] == [node.name for node in rest.local(Nodes()).value])
    await hosts.running["n2"].registry.membership.leave()
    await hosts.until(lambda: ["n3"] == hosts.running["n3"].voters())
    found = (await rest.read(KVGet("key"))).value
    assert found is not None
    assert b"value" == found.value


async def _wipe(hosts: Hosts, name: str) -> None:
    """It loses its disk, and is a voter again under another id."""
    former = hosts.running[name].node.status().id
    await hosts.stop(name)
    shutil.rmtree(hosts.directory / name)
    host = await hosts.start(name, join="n1")
    assert former != host.node.status().id

    def votes() -> bool:
        peers = hosts.running["n1"].node.status().peers
        return {peer.id for peer in peers if peer.name == name and peer.voter} == {host.node.status().id}

    await hosts.until(votes)


async def check_end_of_a_membership(hosts: Hosts) -> None:
    """n2 is told to remove itself while it writes; afterwards it refuses, though n1 would still answer it."""
    first = await hosts.start("n1", peers={"n1": hosts.address("n1")})
    await hosts.until(lambda: hosts.leader == "n1")
    second = await hosts.start("n2", join="n1")
    await first.registry.membership.change(Wish("add", "n2"))
    await hosts.until(lambda: ["n1", "n2"] == [node.name for node in second.registry.local(Nodes()).value])
    tasks: list[asyncio.Task[Ok]] = []

    async def write_on() -> None:
        while not second.node.is_removed():
            tasks.append(asyncio.create_task(second.registry.write(KVSet("early", b"v"))))
            await asyncio.sleep(0.005)

    writing = asyncio.create_task(write_on())
    await asyncio.sleep(0.1)
    assert (await second.registry.membership.change(Wish("remove", "n2"))).done
    await writing
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    # What begins in the very turn in which it hears of its end may be refused, and nothing before that.
    assert not [answer for answer in answers[:-1] if isinstance(answer, BaseException)]
    calls = (
        second.registry.write(KVSet("late", b"v")),
        second.registry.tell_leader("any", None),
        second.registry.read(KVGet("early")),
    )
    for call in calls:
        with pytest.raises(
            Removed, match=r"this node was removed .* to have it back: raftreg operator raft add n2"
        ):
            await asyncio.wait_for(call, 1)
    with pytest.raises(NoLeader, match="this node was removed"):
        await second.registry.check_ready()
    assert (await first.registry.read(KVGet("late"))).value is None
    await first.registry.membership.change(Wish("add", "n2"))
    await hosts.until(lambda: not second.node.is_removed())
    assert (await second.registry.write(KVSet("again", b"v"))).value is True


def test_a_removed_node_takes_nothing_more(tmp_path: Path) -> None:
    """It answers what it took before, and refuses what comes later at once, until it is added again."""
    check(tmp_path, check_end_of_a_membership)


async def check_recovery(hosts: Hosts, log: pytest.LogCaptureFixture) -> None:
    """n2 and n3 lose their disks and wait, told of the cluster; then what n1 has is made a cluster of its own."""
    names = NAMES[:3]
    peers = {name: hosts.address(name) for name in names}
    for name in names:
        await hosts.start(name, peers=peers)
    await hosts.until(lambda: hosts.leader != "")
    await hosts.running["n1"].registry.write(KVSet("key", b"value"))
    for name in names:
        await hosts.stop(name)
    for name in ("n2", "n3"):
        shutil.rmtree(hosts.directory / name)
    for name in names:
        await hosts.start(name, peers=peers)
    await hosts.until(lambda: all(host.node.status().cluster_id for host in hosts.running.values()))
    await hosts.stop("n1")

    def make_cluster() -> None:
        with Remains(hosts.directory / "n1", SystemClock()) as remains:
            remains.make_cluster()

    await asyncio.to_thread(make_cluster)
    told = [f"{name} (127.0.0.1:{hosts.ports[name]}) refused this node" for name in ("n2", "n3")]
    for _ in range(2):  # It stays so.
        log.clear()
        host = await hosts.start("n1", peers=peers)
        await hosts.until(lambda: all(text in log.text for text in told))
        await hosts.until(lambda: hosts.leader == "n1")
        await host.registry.write(KVSet("after", b"recovery"))
        found = (await host.registry.read(KVGet("key"))).value
        assert found is not None
        assert b"value" == found.value
        await hosts.stop("n1")


def test_a_recovered_node_serves_beside_those_that_were_given_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """They refuse it, as it refuses them, and it leads alone."""
    check(tmp_path, lambda hosts: check_recovery(hosts, caplog))


def test_a_cluster_grows_heals_and_shrinks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By commands at any node, the leader's own duties, and a node that leaves; nothing is lost on the way."""
    monkeypatch.setattr(autopilot, "DEAD_S", 2.0)
    monkeypatch.setattr(autopilot, "STAYS_S", 0.5)

    check(tmp_path, check_life_of_a_cluster)
