"""One node in memory behind the protocol of a replicated one: for `raftreg dev` and tests. Nothing survives a stop."""

from collections.abc import Awaitable, Callable

from raftreg import versions
from raftreg.clock import Clock
from raftreg.consensus import MemberChange, PeerStatus, StateMachine, Status
from raftreg.errors import Fatal, NoLeader, NotLeader, Refused

_TERM = 1
_INCARNATION_BYTES = 16
_ALONE = "a node in memory is its whole cluster for ever: start `raftreg agent` with --data-dir for one that can grow"


class LocalConsensus:
    """A cluster of one that leads itself from start to stop. What is proposed is applied before `propose` returns."""

    def __init__(
        self,
        machine: StateMachine,
        clock: Clock,
        name: str = "dev",
        address: str = "127.0.0.1:8300",
        on_fatal: Callable[[BaseException], None] | None = None,
    ) -> None:
        """`on_fatal` is told of a bug in the state machine, before it is raised."""
        self._machine = machine
        self._id = f"{name}.{clock.token(_INCARNATION_BYTES).hex()}"
        self._on_fatal = on_fatal
        self._name = name
        self._address = address
        self._index = 0
        self._running = False
        self._handler: Callable[[str, bytes], Awaitable[bytes]] | None = None
        self._callbacks: list[Callable[[], None]] = []

    async def start(self) -> None:
        """Begin to lead."""
        self._running = True
        self._tell()

    async def stop(self) -> None:
        """Lead no more."""
        self._running = False
        self._tell()

    async def propose(self, data: bytes) -> tuple[int, object]:
        """Apply one entry."""
        if not self._running:
            raise NotLeader("not started")
        self._index += 1
        try:
            return self._index, self._machine.apply(self._index, data)
        except Exception as error:
            fatal = Fatal(f"applying entry {self._index} failed: {error!r}")
            if self._on_fatal is not None:
                self._on_fatal(fatal)
            raise fatal from error

    def read_index_now(self) -> int | None:
        """The index of the newest entry."""
        return self._index if self._running else None

    async def read_index(self, *, confirm: bool = False) -> int:
        """The index of the newest entry; there is nobody who could disagree."""
        if not self._running:
            raise NoLeader("not started")
        return self._index

    async def wait_applied(self, index: int) -> None:
        """Return at once: every entry there is was applied when it was proposed."""
        if index > self._index:
            raise ValueError(f"index {index} was never handed out")

    async def call_leader(self, data: bytes) -> bytes:
        """Call the own handler."""
        if not self._running or self._handler is None:
            raise NoLeader("not started")
        try:
            return await self._handler(self._name, data)
        except NotLeader as error:
            raise NoLeader(str(error)) from error

    def serve_calls(self, handler: Callable[[str, bytes], Awaitable[bytes]]) -> None:
        """Set what `call_leader` calls."""
        self._handler = handler

    async def change_members(self, change: MemberChange) -> int:
        """Refuse: there is nobody who could come or go."""
        raise self._alone()

    async def transfer_leadership(self, to: str | None = None) -> str:
        """Refuse: there is nobody else who could lead."""
        raise self._alone()

    def join(self, address: tuple[str, int]) -> None:
        """Refuse: this is a cluster."""
        raise self._alone()

    def _alone(self) -> Refused | NotLeader:
        return Refused(409, _ALONE) if self._running else NotLeader("not started")

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call back after start and stop."""
        self._callbacks.append(callback)

    def has_leader(self) -> bool:
        """Itself, while it runs."""
        return self._running

    def is_removed(self) -> bool:
        """Never: there is nobody who could do it."""
        return False

    def status(self) -> Status:
        """A leader that is its only peer."""
        leads = self._running
        return Status(
            id=self._id,
            name=self._name,
            role="leader" if leads else "starting",
            term=_TERM,
            leader_id=self._id if leads else None,
            leader_name=self._name if leads else None,
            leader_address=self._address if leads else None,
            commit_index=self._index,
            applied_index=self._index,
            last_index=self._index,
            durable_index=self._index,
            snapshot_index=0,
            cluster_id="",
            leader_contact_s=0.0,
            peers=(
                PeerStatus(
                    *(self._id, self._name, self._address, True, True, 0.0, self._index),
                    levels=(versions.LEVEL_MIN, versions.LEVEL_MAX),
                ),
            ),
            level=self._machine.level(),
        )

    def _tell(self) -> None:
        for callback in self._callbacks:
            callback()
