"""Three real members in one event loop: real disks, real sockets on loopback."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from raftreg.clock import SystemClock
from raftreg.consensus.node import RaftNode, RaftSettings
from tests.consensus.worlds import ListMachine
from tests.e2e.cluster import free_ports

NAMES = ("n1", "n2", "n3")
PATIENCE_S = 15.0


class Trio:
    """Nodes that can be stopped and started; `ended` holds what would have ended a process."""

    def __init__(self, directory: Path, snapshot_entries: int = 20_000) -> None:
        self.directory = directory
        self.addresses = {
            name: ("127.0.0.1", port) for name, port in zip(NAMES, free_ports(len(NAMES)), strict=True)
        }
        self.snapshot_entries = snapshot_entries
        self.nodes: dict[str, RaftNode] = {}
        self.machines: dict[str, ListMachine] = {}
        self.ended: dict[str, BaseException] = {}
        self.moved = asyncio.Event()

    async def start(self, *names: str, directory: str | None = None) -> None:
        """Start nodes, each in the directory of its name unless told otherwise."""
        for name in names or NAMES:
            settings = RaftSettings(
                name,
                self.directory / (directory or name),
                self.addresses[name],
                self.addresses,
                None,
                snapshot_entries=self.snapshot_entries,
            )
            machine = self.machines[name] = ListMachine()
            node = self.nodes[name] = RaftNode(settings, machine, SystemClock(), self._ender(name))
            node.on_change(self.moved.set)
            await node.start()

    def _ender(self, name: str) -> Callable[[BaseException], None]:
        def end(error: BaseException) -> None:
            self.ended.setdefault(name, error)
            self.moved.set()

        return end

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until something holds; looked at whenever a node reports a change, and now and then."""
        async with asyncio.timeout(PATIENCE_S):
            while not true():
                self.moved.clear()
                try:
                    async with asyncio.timeout(0.02):
                        await self.moved.wait()
                except TimeoutError:
                    continue

    async def leader(self) -> RaftNode:
        """The node that leads, once all that run agree on it and can reach it."""
        await self.until(lambda: self._agreed() is not None)
        leader = self._agreed()
        assert leader is not None
        return leader

    def _agreed(self) -> RaftNode | None:
        views = {node.status().leader_name for node in self.nodes.values()}
        name = views.pop() if len(views) == 1 else None
        return self.nodes.get(name) if name is not None else None

    async def follower(self) -> RaftNode:
        """A node that does not lead."""
        leader = await self.leader()
        return next(node for node in self.nodes.values() if node is not leader)

    async def stop(self, *names: str) -> None:
        """Stop nodes in an orderly way."""
        for name in names or tuple(self.nodes):
            await self.nodes.pop(name).stop()


def with_trio(
    directory: Path, scenario: Callable[[Trio], Awaitable[None]], snapshot_entries: int = 20_000
) -> None:
    """Run a scenario; what still runs at its end is stopped."""

    async def main() -> None:
        trio = Trio(directory, snapshot_entries)
        try:
            await scenario(trio)
        finally:
            await trio.stop()

    asyncio.run(main())
