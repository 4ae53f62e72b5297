"""One member of the cluster on real disks and sockets: the `Consensus` that the rest of raftreg uses.

start:   data directory -> (first start: bootstrap) -> log and snapshot -> engine -> listening and dialing
stop:    hand leadership over -> flush the log -> close connections
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Any

from raftreg.clock import Clock
from raftreg.consensus import MemberChange, StateMachine, Status
from raftreg.consensus import messages as m
from raftreg.consensus.circle import Outside
from raftreg.consensus.driver import Driver, Surroundings
from raftreg.consensus.identity import DataDir, is_unused, open_data_dir
from raftreg.consensus.machinery import Machinery, Wires, real_machinery
from raftreg.consensus.members import Members
from raftreg.consensus.peers import Peers
from raftreg.consensus.settings import RaftSettings
from raftreg.consensus.status import known_leader, starting_status, status_of
from raftreg.consensus.target import Target
from raftreg.errors import Fatal, NewerFormat, NoLeader, NotLeader, StartRefused
from raftreg.versions import Range

__all__ = ["RaftNode", "RaftSettings"]

_log = logging.getLogger(__name__)
_READ_TIMEOUT_ELECTIONS = 2.0
_NOT_JOINED = "this node has not joined its cluster yet; its log says what it waits for"
_STOPPING = "this node is stopping"
NO_CLUSTER = (
    "{path}: belongs to no cluster yet. To make one of several nodes, give each --peers NAME=HOST:PORT,...; to join "
    "one, --join HOST:PORT of a member; to make one of this node alone, run once: raftreg init --node {name} "
    "--data-dir {path}"
)

Handler = Callable[[str, bytes], Awaitable[bytes]]


class RaftNode:
    """See `raftreg.consensus.Consensus`. `on_fatal` is called when the process has to end."""

    def __init__(
        self,
        settings: RaftSettings,
        machine: StateMachine,
        clock: Clock,
        on_fatal: Callable[[BaseException], None],
        machinery: Machinery | None = None,
    ) -> None:
        self.settings, self.machine, self.clock, self.on_fatal = settings, machine, clock, on_fatal
        self._machinery = machinery or real_machinery()
        self.driver: Driver | None = None
        self._data_dir: DataDir | None = None
        self._wires: Wires | None = None
        self._peers: Peers | None = None
        self._handler: Handler | None = None
        self._callbacks: list[Callable[[], None]] = []
        self._stopping = False

    # -- life ------------------------------------------------------------------------------------------------------
    async def start(self) -> None:
        """Recover, listen, take part. Raises StartRefused for what an operator must mend."""
        settings = self.settings
        self._loop = asyncio.get_running_loop()
        if self._waits_for_nobody() and is_unused(settings.data_dir, self._machinery.disk):
            raise StartRefused(self._no_cluster())
        data_dir = self._data_dir = open_data_dir(
            settings.data_dir,
            settings.name,
            self.clock,
            disk=self._machinery.disk,
            exclusive=self._machinery.exclusive,
        )
        self._peers = Peers(
            settings,
            data_dir,
            Outside(self._send, self._reset, self._aim, self._work_later, self.clock.now),
            self._adopt,
            self._guarded,
            self.on_fatal,
        )
        key = settings.cluster_key or b""
        wires = self._machinery.wires(self._peers, self.clock, settings.name, settings.listen, key)
        if data_dir.identity.genesis is not None:
            self._begin(data_dir.identity.genesis)
        elif self._waits_for_nobody():
            raise StartRefused(self._no_cluster())
        self._wires = wires
        self._peers.take_aim()
        await self._wires.start()
        if self.driver is None:
            self._guarded(self._peers.try_genesis)

    def _waits_for_nobody(self) -> bool:
        return not self.settings.peers and not self.settings.join

    def _no_cluster(self) -> str:
        return NO_CLUSTER.format(path=self.settings.data_dir, name=self.settings.name)

    async def stop(self) -> None:
        """Hand over, flush, close. Safe to call twice, and after a start that failed."""
        if self._stopping:
            return
        self._stopping = True
        self._changed()
        if self.driver is not None:
            await self.driver.operations.hand_over()
            await self.driver.close()
        if self._wires is not None:
            await self._wires.stop()
        if self._data_dir is not None:
            await self._data_dir.close()

    def _begin(self, genesis: bytes) -> None:
        """The genesis is known: recover what is on disk and take part."""
        assert self._data_dir is not None
        assert self._peers is not None
        around = Surroundings(
            loop=self._loop,
            clock=self.clock,
            machinery=self._machinery,
            send=self._send_member,
            has_room=self._has_room,
            guarded=self._guarded,
            on_fatal=self.on_fatal,
            on_change=self._changed,
            on_members=self._members_changed,
            on_outsider=self._tell,
            addresses=self._addresses,
            levels_of=self._levels_of,
        )
        member_id = self._data_dir.identity.member_id
        self.driver = Driver(self.settings, member_id, genesis, self.machine, around)
        self.driver.calls.handler = self._handler
        self._data_dir.log_begins()
        self._peers.begun(self.driver)

    def _adopt(self, genesis: bytes, made_here: bool) -> None:
        """First start: store the genesis, pass it on, and say hello anew under the cluster's id.

        Who made it leaves its connections open, so that the genesis arrives; the others come back by themselves.
        """
        assert self._data_dir is not None
        assert self._wires is not None
        if self._stopping:
            return  # Nobody would close what begins now; it will be told again at the next start.
        try:
            members = Members.decode(genesis)
        except NewerFormat as newer:
            _log.error("the cluster was made by %s: upgrade raftreg on this node, then it joins", newer)
            return
        if members is None:
            raise Fatal("a peer sent a genesis that is none")
        self._data_dir.save_genesis(genesis, members.cluster_id)
        connected = self._wires.connected()
        for member in connected:
            self._send(member, [m.GENESIS, genesis])
        self._begin(genesis)
        if not made_here:
            for member in connected:
                self._wires.reset(member)

    def _send(self, member: str, message: list[Any]) -> bool:
        return self._wires is not None and self._wires.send(member, message)

    def _send_member(self, member: str, message: list[Any]) -> bool:
        """What the engine says goes to those only with which this process may act as a member."""
        peers, wires = self._peers, self._wires
        return (
            peers is not None
            and wires is not None
            and peers.act_together(member)
            and wires.send(member, message)
        )

    def _reset(self, member: str) -> None:
        if self._wires is not None:
            self._wires.reset(member)

    def _aim(self, targets: Iterable[Target]) -> None:
        if self._wires is not None:
            self._wires.aim(targets)

    def _work_later(self, seconds: float, work: Callable[[], object]) -> None:
        self._loop.call_later(seconds, lambda: None if self._stopping else self._guarded(work))

    def _members_changed(self) -> None:
        if self._peers is not None and self._peers.circle is not None and not self._stopping:
            self._peers.circle.changed()

    def _addresses(self) -> dict[str, str]:
        circle = self._peers.circle if self._peers is not None else None
        return {} if circle is None else circle.addresses()

    def _levels_of(self, member: str) -> Range | None:
        circle = self._peers.circle if self._peers is not None else None
        return None if circle is None else circle.levels_of(member)

    def _tell(self, member: str) -> None:
        if self._peers is not None and self._peers.circle is not None:
            self._peers.circle.tell(member)

    def _has_room(self, member: str) -> bool:
        return self._wires is not None and self._wires.has_room(member)

    def _guarded(self, work: Callable[[], object]) -> None:
        """Run a piece of work of the loop; whatever it raises ends the process."""
        try:
            work()
        except BaseException as error:
            self.on_fatal(error)

    def _changed(self) -> None:
        for callback in self._callbacks:
            callback()

    # -- Consensus -------------------------------------------------------------------------------------------------
    async def propose(self, data: bytes) -> tuple[int, object]:
        """See `Consensus.propose`."""
        return await self._member().propose(data)

    def read_index_now(self) -> int | None:
        """See `Consensus.read_index_now`."""
        if self.driver is None or self._stopping:
            return None
        engine = self.driver.engine
        if engine.raftLastApplied < engine.raftCommitIndex or not engine.reads.lease_holds():
            return None
        return int(engine.raftLastApplied)

    async def read_index(self, *, confirm: bool = False) -> int:
        """See `Consensus.read_index`."""
        timeout_s = self.settings.election_timeout_max_s * _READ_TIMEOUT_ELECTIONS
        return await self._joined().calls.read_index(confirm, timeout_s)

    async def wait_applied(self, index: int) -> None:
        """See `Consensus.wait_applied`."""
        await self._joined().applied.wait(index)

    async def call_leader(self, data: bytes) -> bytes:
        """See `Consensus.call_leader`."""
        try:
            return await self._joined().calls.call(data)
        except NotLeader as error:
            raise NoLeader(str(error)) from error

    def serve_calls(self, handler: Handler) -> None:
        """See `Consensus.serve_calls`."""
        self._handler = handler
        if self.driver is not None:
            self.driver.calls.handler = handler

    async def change_members(self, change: MemberChange) -> int:
        """See `Consensus.change_members`."""
        return await self._member().change_members(change)

    async def transfer_leadership(self, to: str | None = None) -> str:
        """See `Consensus.transfer_leadership`."""
        return await self._member().operations.transfer_leadership(to)

    def join(self, address: tuple[str, int]) -> None:
        """See `Consensus.join`."""
        assert self._peers is not None, "not started"
        if address in self.settings.join:
            return
        self.settings = self._peers.settings = replace(self.settings, join=(*self.settings.join, address))
        self._peers.take_aim()

    def on_change(self, callback: Callable[[], None]) -> None:
        """See `Consensus.on_change`."""
        self._callbacks.append(callback)

    def has_leader(self) -> bool:
        """See `Consensus.has_leader`."""
        if self.driver is None or self._wires is None:
            return False
        return known_leader(self.driver.engine, self.settings, self.clock.now()) is not None

    def is_removed(self) -> bool:
        """See `Consensus.is_removed`."""
        circle = self._peers.circle if self._peers is not None else None
        return circle is not None and circle.removed

    def status(self) -> Status:
        """See `Consensus.status`."""
        circle = self._peers.circle if self._peers is not None else None
        if circle is None or self._peers is None or self._wires is None:
            member_id = self._data_dir.identity.member_id if self._data_dir else self.settings.name
            return starting_status(self.settings, member_id, self._peers.too_old if self._peers else "")
        return status_of(
            circle, self._wires, self.settings, self._peers.book, self.clock, self._peers.too_old
        )

    def _member(self) -> Driver:
        """The driver, for what only a leader does."""
        if self.driver is None or self._stopping:
            raise NotLeader(_NOT_JOINED if self.driver is None else _STOPPING)
        return self.driver

    def _joined(self) -> Driver:
        if self.driver is None or self._stopping:
            raise NoLeader(_NOT_JOINED if self.driver is None else _STOPPING)
        return self.driver
