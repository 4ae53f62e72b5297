"""Several nodes that agree by being in one process: consensus whose leader, lag and failures a test decides."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from raftreg.clock import SystemClock
from raftreg.consensus import MemberChange, StateMachine, Status
from raftreg.errors import NoLeader, NotLeader, OutcomeUnknown, Overloaded, Refused
from raftreg.registry import Registry, Replica
from raftreg.state import State

_STATUS = Status("", "", "follower", 1, None, None, None, 0, 0, 0, 0, 0, "", 0.0, ())


class FakeCluster:
    """The log that all nodes share, and what is to go wrong next.

    `faults` are taken one per proposal: "lost" (appended, but the proposer is not told), "dropped" (neither),
    "overloaded", "hang" (nothing happens until `released`), "" (all is well).
    """

    def __init__(self, *names: str) -> None:
        self.log: list[bytes] = []
        self.faults: list[str] = []
        self.released = asyncio.Event()
        self.leader: str | None = names[0]
        self.hands_over = False  # the leader, which takes no proposals then
        self.nodes = {name: FakeNode(self, name) for name in names}

    def registry(self, name: str, *, timeout_s: float = 5.0) -> Registry:
        """A registry on a node."""
        node = self.nodes[name]
        replica = Replica(State())
        node.machine = replica
        timeouts = {"write_timeout_s": timeout_s, "read_timeout_s": timeout_s}
        return Registry(node, replica, SystemClock(), node_name=name, datacenter="dc1", **timeouts)

    def elect(self, name: str | None) -> None:
        """Another leader, or none."""
        self.leader = name
        for node in self.nodes.values():
            for callback in node.callbacks:
                callback()


class FakeNode:
    """`raftreg.consensus.Consensus` over a FakeCluster."""

    def __init__(self, cluster: FakeCluster, name: str) -> None:
        self.cluster = cluster
        self.name = name
        self.machine: StateMachine | None = None
        self.applied = 0
        self.lags = False
        self.leased = True
        self.calls_hang = False
        self.read_indexes: list[bool] = []  # whether each read index was to be confirmed
        self.leader_contact_s = 0.0
        self.callbacks: list[Callable[[], None]] = []
        self.removed = False
        self.waiting: list[tuple[int, asyncio.Future[None]]] = []
        self.handler: Callable[[str, bytes], Awaitable[bytes]] | None = None

    async def start(self) -> None:
        """Nothing to do."""

    async def stop(self) -> None:
        """Nothing to do."""

    def catch_up(self) -> object:
        """Apply what the log has more; the last result."""
        result: object = None
        while self.applied < len(self.cluster.log):
            self.applied += 1
            if self.machine is not None:
                result = self.machine.apply(self.applied, self.cluster.log[self.applied - 1])
        for index, waiter in self.waiting:
            if index <= self.applied and not waiter.done():
                waiter.set_result(None)
        return result

    async def propose(self, data: bytes) -> tuple[int, object]:
        """Append, unless the next fault says otherwise."""
        if self.cluster.leader != self.name or self.cluster.hands_over:
            raise NotLeader("not the leader")
        fault = self.cluster.faults.pop(0) if self.cluster.faults else ""
        if fault == "hang":
            await self.cluster.released.wait()
        if fault == "overloaded":
            raise Overloaded("too much")
        if fault == "dropped":
            raise OutcomeUnknown("leadership was lost")
        result = self._append(data)
        if fault == "lost":
            raise OutcomeUnknown("leadership was lost")
        return len(self.cluster.log), result

    def _append(self, data: bytes) -> object:
        self.cluster.log.append(data)
        result = self.catch_up()
        for node in self.cluster.nodes.values():
            if not node.lags:
                node.catch_up()
        return result

    def read_index_now(self) -> int | None:
        """The end of the log, on a leader with a lease."""
        return len(self.cluster.log) if self.cluster.leader == self.name and self.leased else None

    async def read_index(self, *, confirm: bool = False) -> int:
        """The end of the log."""
        self.read_indexes.append(confirm)
        if self.cluster.leader is None:
            raise NoLeader("no leader")
        return len(self.cluster.log)

    async def wait_applied(self, index: int) -> None:
        """Return once `catch_up` came that far."""
        if self.applied < index:
            waiter = asyncio.get_running_loop().create_future()
            self.waiting.append((index, waiter))
            await waiter

    async def call_leader(self, data: bytes) -> bytes:
        """Call the leader's handler."""
        if self.cluster.leader is None:
            raise NoLeader("no leader")
        if self.calls_hang:
            await asyncio.Event().wait()
        handler = self.cluster.nodes[self.cluster.leader].handler
        assert handler is not None
        try:
            return await handler(self.name, data)
        except NotLeader as error:
            raise NoLeader(str(error)) from error

    def serve_calls(self, handler: Callable[[str, bytes], Awaitable[bytes]]) -> None:
        """Set what others call while this node leads."""
        self.handler = handler

    async def change_members(self, change: MemberChange) -> int:
        """Refuse: the nodes of this cluster are fixed."""
        raise Refused(409, f"no {change.kind} here")

    async def transfer_leadership(self, to: str | None = None) -> str:
        """Elect the named node."""
        if to is None:
            raise Refused(409, "name the node")
        self.cluster.elect(to)
        return to

    def join(self, address: tuple[str, int]) -> None:
        """Refuse: the nodes of this cluster are fixed."""
        raise Refused(409, f"cannot join {address}")

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call back in `FakeCluster.elect`."""
        self.callbacks.append(callback)

    def has_leader(self) -> bool:
        """Whether somebody was elected."""
        return self.cluster.leader is not None

    def is_removed(self) -> bool:
        """As the test says."""
        return self.removed

    def status(self) -> Status:
        """The little that registries look at."""
        return replace(
            _STATUS,
            name=self.name,
            leader_name=self.cluster.leader,
            leader_contact_s=self.leader_contact_s,
            removed=self.removed,
        )


def run(scenario: Callable[[FakeCluster], Awaitable[None]]) -> None:
    """Run a scenario on a cluster of a, b and c, with a as its leader."""

    async def main() -> None:
        await asyncio.wait_for(scenario(FakeCluster("a", "b", "c")), 20)

    asyncio.run(main())
