"""The node: `Registry` is what the front doors and the duties hold."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

from raftreg import versions
from raftreg.clock import Clock
from raftreg.commands import LEVEL_OF, Command, Failed, Ok, Request, encode_request
from raftreg.consensus import Consensus
from raftreg.errors import NoLeader, NotLeader, Refused
from raftreg.registry.answers import Answer, ReadOptions
from raftreg.registry.changes import LeaderChanges
from raftreg.registry.membership import Membership
from raftreg.registry.messages import MESSAGES, LeaderCall, Messenger
from raftreg.registry.reads import Reader
from raftreg.registry.replica import Replica
from raftreg.registry.standing import check_not_removed, standing_outside
from raftreg.registry.writes import FORWARDED_WRITES, Writer
from raftreg.state import Found, Query, Topic
from raftreg.state.transactions import writes
from raftreg.transactions import Transaction

T = TypeVar("T")

READY_TIMEOUT_S = 1.0
# Well below what a frame between nodes holds; larger ones would stall them all.
COMMAND_BYTES_MAX = 4 * 1024 * 1024
_REQUEST_ID_BYTES = 16
_DEFAULT_READ = ReadOptions()


class Registry:
    """The one door for writes and the one for reads, on every node alike. For the event loop's thread only."""

    def __init__(
        self,
        consensus: Consensus,
        replica: Replica,
        clock: Clock,
        *,
        node_name: str,
        datacenter: str,
        write_timeout_s: float = 10.0,
        read_timeout_s: float = 10.0,
    ) -> None:
        self.consensus = consensus
        self.state = replica.state  # to be read, never changed
        self.clock = clock
        self.node_name = node_name
        self.datacenter = datacenter
        self._replica = replica
        self._changes = LeaderChanges(consensus)
        self._writer = Writer(consensus, self._changes, write_timeout_s)
        self._messenger = Messenger(self._changes, write_timeout_s)
        self.membership = Membership(consensus, self._messenger, write_timeout_s)
        self._reader = Reader(consensus, replica, self._changes, clock, read_timeout_s)
        consensus.serve_calls(self._serve)

    async def write(
        self, command: Command, *, request_id: bytes | None = None, as_leader: bool = False
    ) -> Ok:
        """Replicate a command; return its result once a majority has it on disk and this node applied it.

        A request id that was used before (65,536 are remembered) gives the first result and changes nothing.
        Raises Refused (recorded, or the command cannot be encoded, is too large, or is one that not all members may
        know yet), Overloaded or NoLeader (nothing happened; Removed at once if this node was), and OutcomeUnknown (it
        may have happened, or may still). Cancelling the caller does not take the write back.

        With `as_leader` it is tried once and by this node only: NotLeader if it does not lead. So what a leader decided
        from what it alone knows is never carried out by its successor, who may know better.
        """
        check_not_removed(self.consensus)
        needed = LEVEL_OF.get(type(command), 1)
        if needed > self.state.level:
            raise Refused(409, versions.closed_text(type(command).__name__, needed, self.state.level))
        identity = request_id if request_id is not None else self.clock.token(_REQUEST_ID_BYTES)
        try:
            data = encode_request(Request(identity, self.state.index, command))
        except ValueError as error:
            raise Refused(400, str(error)) from None
        if len(data) > COMMAND_BYTES_MAX:
            text = f"Request too large: {len(data)} bytes in the log, max size: {COMMAND_BYTES_MAX} bytes"
            raise Refused(413, text)
        result = await self._writer.submit(data, once=as_leader, reads=_reads(command))
        if isinstance(result, Failed):
            raise Refused(result.status, result.text)
        return result

    async def read(self, query: "Query[T]", options: ReadOptions = _DEFAULT_READ) -> Answer[T]:
        """Answer a query from the local copy, as fresh as `options.mode` says; wait for a change if it asks to.

        A blocking read returns when the index of what was asked for is above `options.index`, else after
        `options.wait_s` seconds with what there is. Raises NoLeader (mode default and consistent) when no leader
        vouches for this copy within the read timeout (Removed at once if this node was), Refused when
        `options.min_index` is not reached in it.
        """
        return await self._reader.read(query, options)

    def local(self, query: "Query[T]") -> Found[T]:
        """Answer a query from the local copy as it is, at once. The answer may be old."""
        return self._reader.find(query)

    async def tell_leader(self, kind: str, payload: object) -> object:
        """Give a message to the handler that the leader registered for `kind`; its answer.

        Payload and answer are what msgpack can carry. All messages of one loop turn share one call. Tried again
        across a failover until the write timeout, so the handler may see it more than once. Raises NoLeader or
        OutcomeUnknown then, Removed at once if this node was, and Refused or Overloaded if the handler did.
        """
        check_not_removed(self.consensus)
        return await self._messenger.tell(kind, payload)

    def on_leader_call(self, kind: str, handler: LeaderCall) -> None:
        """Set the handler for messages of a kind: (calling node's name, payload) -> answer. It runs on the leader."""
        self._messenger.on_call(kind, handler)

    def on_topics(self, callback: Callable[[Sequence[Topic]], None]) -> None:
        """Call back with what each entry changed, and (EVERYTHING,) after the state was replaced. Must not raise."""
        self._replica.on_topics(callback)

    async def check_ready(self) -> None:
        """Return if this node has a leader and has applied all that the leader had committed; NoLeader says why not."""
        status = self.consensus.status()
        outside = status.too_old or standing_outside(status)
        if outside:
            raise NoLeader(outside)
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                index = await self.consensus.read_index()
                await self.consensus.wait_applied(index)
        except TimeoutError:
            status = self.consensus.status()
            if status.leader_name is None:
                raise NoLeader("no leader") from None
            raise NoLeader(f"catching up, at {status.applied_index} of {status.commit_index}") from None

    @property
    def stopping(self) -> bool:
        """Whether nothing waits any more: who repeats a blocking read answers with what there is."""
        return self._reader.stopping

    async def stop(self) -> None:
        """Let every blocking read answer, finish the writes in flight as far as that can be, give up the others."""
        self._reader.stop_waiting()
        try:
            await self._writer.drain()
        except asyncio.CancelledError:
            self._writer.abandon()
            raise

    async def _serve(self, caller: str, data: bytes) -> bytes:
        """What other nodes ask of this one while it leads."""
        if data[:1] == FORWARDED_WRITES:
            if caller == self.node_name:
                # It leads, and takes no proposals: what it sends itself would count twice among what is in flight.
                raise NotLeader("this node hands leadership over")
            return await self._writer.serve(data[1:])
        if data[:1] == MESSAGES:
            return await self._messenger.serve(caller, data[1:])
        raise Refused(500, "a call to the leader of an unknown form")


def _reads(command: Command) -> bool:
    """Whether the result has more in it than what the command says."""
    return isinstance(command, Transaction) and not all(map(writes, command.operations))
