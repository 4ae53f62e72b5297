"""The write path: commands of one loop turn become one log entry, here or at the leader, until each has an outcome.

A write whose attempt failed is proposed again under the same request id, by this node and no other: a leader that
took a write for another node tries once and reports. Whether an attempt may have reached the log is remembered,
because it decides which error the client gets when the time is up.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import cast

from raftreg.commands import Result, decode_batch, decode_results, encode_batch, encode_results
from raftreg.consensus import Consensus
from raftreg.errors import (
    NewerFormat,
    NoLeader,
    NotLeader,
    OutcomeUnknown,
    Overloaded,
    RaftregError,
    Refused,
)
from raftreg.registry.changes import LeaderChanges
from raftreg.registry.sharing import copy_error

log = logging.getLogger(__name__)

BATCH_COMMANDS_MAX = 512
BATCH_BYTES_MAX = 1024 * 1024
# What a write that reads as well takes of a batch: the answers to all in it must fit into one frame between nodes.
READING_BYTES = BATCH_BYTES_MAX // 8
IN_FLIGHT_COMMANDS_MAX = 4096
IN_FLIGHT_BYTES_MAX = 64 * 1024 * 1024
FORWARDED_WRITES = b"\x01"  # the first byte of a call to the leader that carries a batch
DRAIN_WITHOUT_LEADER_S = 1.0  # a node that stops waits no longer for somebody to finish its writes
STOPPING = "this node is stopping"
_DRAIN_LOOK_S = 0.1
_REMOVED_LOOK_S = 0.2
_INDEX_BYTES = 8

Outcome = tuple[int, Result]  # the raft index of the entry, what the state machine answered


class PendingWrite:
    """One encoded request on its way. `once`: tried here, as the leader, and not again; its sender sees to that.

    `size` is what it takes of a batch, in bytes.
    """

    __slots__ = ("data", "future", "once", "size")

    def __init__(self, data: bytes, size: int, once: bool, future: asyncio.Future[Outcome]) -> None:
        self.data = data
        self.size = size
        self.once = once
        self.future = future

    def fail(self, error: BaseException) -> None:
        """Tell the caller, if it is still there."""
        if not self.future.done():
            self.future.set_exception(copy_error(error))


class Writer:
    """Takes encoded requests and gets each of them an outcome."""

    def __init__(self, consensus: Consensus, changes: LeaderChanges, timeout_s: float) -> None:
        self._consensus = consensus
        self._changes = changes
        self._timeout_s = timeout_s
        self._queue: list[PendingWrite] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._under_way: set[Attempts] = set()
        self._commands_in_flight = 0
        self._bytes_in_flight = 0
        self._abandoned = False

    async def submit(self, data: bytes, *, once: bool = False, reads: bool = False) -> Result:
        """The result of one encoded request, once this node applied it. Raises as `Registry.write` does.

        `reads`: the result may have much more in it than the request says.
        """
        self._admit(1, len(data))
        return (await self._enqueue(data, READING_BYTES if reads else 0, once=once))[1]

    async def serve(self, batch: bytes) -> bytes:
        """On the leader: do the batch of another node; the answer is for `_forward` there.

        One error stands for the whole batch, so it claims that nothing happened only if that holds for every part.
        """
        try:
            requests = decode_batch(batch)
        except (ValueError, NewerFormat) as error:
            raise Refused(500, f"a forwarded batch cannot be read: {error}") from None
        self._admit(len(requests), sum(map(len, requests)))
        futures = [self._enqueue(data, once=True) for data in requests]
        try:
            await asyncio.wait(futures)
        finally:
            for future in futures:
                if not future.cancel():
                    future.exception()  # seen, also when nobody waits for the answer any more
        failures = [future.exception() for future in futures]
        errors = [failure for failure in failures if failure is not None]
        outcomes = [future.result() for future in futures if future.exception() is None]
        if errors:
            raise _common_error(errors, whole=not outcomes)
        raft_index = max(index for index, _ in outcomes)
        return raft_index.to_bytes(_INDEX_BYTES) + encode_results([result for _, result in outcomes])

    async def drain(self) -> None:
        """Return when every write that was taken so far has its outcome; without a leader for a while, give them up."""
        await asyncio.sleep(0)  # What this turn of the loop collected is on its way then.
        waiting = set(self._tasks)
        leaderless_s = 0.0
        while waiting:
            _, waiting = await asyncio.wait(waiting, timeout=_DRAIN_LOOK_S)
            is_led = self._consensus.has_leader()
            leaderless_s = 0.0 if is_led else leaderless_s + _DRAIN_LOOK_S
            if leaderless_s >= DRAIN_WITHOUT_LEADER_S:
                self.abandon()
                return

    def abandon(self) -> None:
        """Take and try no write any more: those without an outcome end as NoLeader or OutcomeUnknown."""
        unknown = sum(len(attempts.open) for attempts in self._under_way if attempts.may_have_happened)
        if unknown:
            log.warning(
                "writes left without an outcome: %d; their clients cannot know whether they happened", unknown
            )
        self._abandoned = True
        for attempts in self._under_way:
            attempts.give_up(STOPPING)
        for task in self._tasks:
            task.cancel()

    def _admit(self, commands: int, size: int) -> None:
        """Overloaded if this many more commands, with this many bytes, are too much; NoLeader at the very end."""
        if self._abandoned:
            raise NoLeader(STOPPING)
        if (
            self._commands_in_flight + commands > IN_FLIGHT_COMMANDS_MAX
            or self._bytes_in_flight + size > IN_FLIGHT_BYTES_MAX
        ):
            held = f"{self._commands_in_flight} commands with {self._bytes_in_flight} bytes"
            raise Overloaded(f"too many writes are in flight on this node: {held}")

    def _enqueue(self, data: bytes, more: int = 0, *, once: bool) -> asyncio.Future[Outcome]:
        loop = asyncio.get_running_loop()
        write = PendingWrite(data, len(data) + more, once, loop.create_future())
        if not self._queue:
            loop.call_soon(self._flush)
        self._queue.append(write)
        self._commands_in_flight += 1
        self._bytes_in_flight += len(data)
        return write.future

    def _flush(self) -> None:
        """Send what this loop turn collected on its way, in as few batches as the limits allow."""
        queue, self._queue = self._queue, []
        batch: list[PendingWrite] = []
        size = 0
        for write in queue:
            if batch and (len(batch) == BATCH_COMMANDS_MAX or size + write.size > BATCH_BYTES_MAX):
                self._begin(Attempts(batch))
                batch, size = [], 0
            batch.append(write)
            size += write.size
        self._begin(Attempts(batch))

    def _begin(self, attempts: "Attempts") -> None:
        if self._abandoned:
            attempts.give_up(STOPPING)
            return
        self._under_way.add(attempts)
        task = asyncio.get_running_loop().create_task(self._run(attempts))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, attempts: "Attempts") -> None:
        """One batch from its first attempt to the outcome of each of its writes."""
        batch = attempts.open
        try:
            async with asyncio.timeout(self._timeout_s):
                while attempts.open:
                    await self._attempt(attempts)
                    if attempts.open:
                        await self._changes.pause()
        except TimeoutError:
            within = f"within {self._timeout_s:g} s"
            attempts.give_up(f"no outcome {within}" if attempts.may_have_happened else f"no leader {within}")
        except Exception as error:  # whatever it is, nobody may be left waiting
            attempts.fail(error)
        except BaseException:
            attempts.give_up(STOPPING)
            raise
        finally:
            self._under_way.discard(attempts)
            self._commands_in_flight -= len(batch)
            self._bytes_in_flight -= sum(len(write.data) for write in batch)

    async def _attempt(self, attempts: "Attempts") -> None:
        """Propose what is open, or have the leader do it. What is still open afterwards is to be tried again."""
        attempts.pending = True
        try:
            index, results = await self._consensus.propose(attempts.encode())
            attempts.succeed(index, cast("list[Result]", results))
        except NotLeader as error:
            attempts.pending = False
            attempts.fail_once(error)
            if attempts.open:
                await self._attempt_at_leader(attempts)
        except OutcomeUnknown as error:
            attempts.maybe_applied = True
            attempts.fail_once(error)
        except Overloaded as error:
            attempts.refuse(error)

    async def _attempt_at_leader(self, attempts: "Attempts") -> None:
        attempts.pending = True
        try:
            attempts.succeed(*await self._forward(attempts.encode()))
        except (NoLeader, NotLeader):
            attempts.pending = False  # nothing happened there; the next attempt may find another leader
        except OutcomeUnknown:
            attempts.maybe_applied = True
        except Overloaded as error:
            attempts.refuse(error)

    async def _forward(self, batch: bytes) -> tuple[int, list[Result]]:
        """Have the leader do a batch and wait until this node applied it too."""
        reply = await self._changes.call_leader(FORWARDED_WRITES + batch)
        try:
            results = decode_results(reply[_INDEX_BYTES:])
        except (ValueError, NewerFormat) as error:
            raise OutcomeUnknown(f"the leader's answer cannot be read: {error}") from None
        raft_index = int.from_bytes(reply[:_INDEX_BYTES])
        await self._wait_applied(raft_index)
        return raft_index, results

    async def _wait_applied(self, raft_index: int) -> None:
        """Return once this node applied what the leader did; or is no member any more, so that it never will."""
        while True:
            try:
                async with asyncio.timeout(_REMOVED_LOOK_S):
                    await self._consensus.wait_applied(raft_index)
                return
            except TimeoutError:
                if self._consensus.status().removed:
                    return


class Attempts:
    """What the attempts at one batch came to so far. `open` are the writes without an outcome."""

    __slots__ = ("maybe_applied", "open", "pending")

    def __init__(self, batch: list[PendingWrite]) -> None:
        self.open = batch
        self.maybe_applied = False  # an attempt reached the log, perhaps
        self.pending = False  # an attempt was begun and did not say yet that nothing came of it

    def encode(self) -> bytes:
        """The open writes as one log entry."""
        return encode_batch([write.data for write in self.open])

    def succeed(self, index: int, results: Sequence[Result]) -> None:
        """Every open write was applied."""
        for write, result in zip(self.open, results, strict=True):
            if not write.future.done():
                write.future.set_result((index, result))
        self.open = []

    def fail(self, error: BaseException) -> None:
        """No open write is tried again."""
        for write in self.open:
            write.fail(error)
        self.open = []

    def fail_once(self, error: RaftregError) -> None:
        """Those that are tried once have their outcome."""
        for write in self.open:
            if write.once:
                write.fail(error)
        self.open = [write for write in self.open if not write.once]

    def refuse(self, error: Overloaded) -> None:
        """Nothing was taken this time. That is the outcome, unless an earlier attempt may have been."""
        if not self.maybe_applied:
            self.fail(error)
        else:
            self.fail_once(error)

    @property
    def may_have_happened(self) -> bool:
        """Whether nobody can say that nothing came of the open writes."""
        return self.maybe_applied or self.pending

    def give_up(self, why: str) -> None:
        """No open write is tried again, whatever came of it."""
        self.fail(OutcomeUnknown(why) if self.may_have_happened else NoLeader(why))


def _common_error(errors: Sequence[BaseException], *, whole: bool) -> BaseException:
    """The one error for a batch of which at least one write failed; `whole` if none succeeded."""
    if whole and all(isinstance(error, NotLeader | NoLeader | Overloaded) for error in errors):
        return errors[0]
    return OutcomeUnknown(str(errors[0]))
