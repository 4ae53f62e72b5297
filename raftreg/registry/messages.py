"""Messages to the leader: those of one loop turn become one call, and each gets an answer of its own.

Heartbeats come by the thousands; a call for each would cost both nodes more than what is in it. The call carries
[kind, payload] per message, its answer [outcome, ...] per message in the same order. It is answered when all handlers
are done, so a message whose handler waits for something has a call of its own.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import msgpack

from raftreg.errors import NoLeader, NotLeader, OutcomeUnknown, Overloaded, RaftregError, Refused
from raftreg.registry.changes import LeaderChanges
from raftreg.registry.sharing import copy_error

log = logging.getLogger(__name__)

BATCH_MESSAGES_MAX = 256
BATCH_BYTES_MAX = 1024 * 1024
MESSAGES = b"\x02"  # the first byte of a call to the leader that carries messages for its handlers
_DONE, _REFUSED, _OVERLOADED, _NOT_APPLIED, _UNKNOWN = range(
    5
)  # outcomes; the last two are worth another try

LeaderCall = Callable[[str, object], Awaitable[object]]


class Message:
    """One encoded message on its way, and the failure that its sender gets when the time is over."""

    __slots__ = ("data", "failure", "future")

    def __init__(self, data: bytes, future: asyncio.Future[object]) -> None:
        self.data = data
        self.future = future
        self.failure: RaftregError = NoLeader("no leader in time")

    def note(self, error: RaftregError) -> None:
        """An attempt failed; once one may have reached its handler, that is what remains to be said."""
        if not isinstance(self.failure, OutcomeUnknown):
            self.failure = NoLeader(str(error)) if isinstance(error, NotLeader) else error

    def settle(self, outcome: list[Any]) -> bool:
        """Tell the sender the outcome; False if there is to be another attempt."""
        code, *details = outcome
        if code in (_NOT_APPLIED, _UNKNOWN):
            self.note((NoLeader if code == _NOT_APPLIED else OutcomeUnknown)(str(details[0])))
            return False
        if code == _DONE and not self.future.done():
            self.future.set_result(details[0])
        elif code == _REFUSED:
            self.fail(Refused(int(details[0]), str(details[1])))
        elif code == _OVERLOADED:
            self.fail(Overloaded(str(details[1]), float(details[0])))
        return True

    def fail(self, error: BaseException) -> None:
        """Tell the sender, if it is still there."""
        if not self.future.done():
            self.future.set_exception(copy_error(error))


class Messenger:
    """Sends messages to the leader, and hands those of other nodes to handlers while this node leads."""

    def __init__(self, changes: LeaderChanges, timeout_s: float) -> None:
        self._changes = changes
        self._timeout_s = timeout_s
        self._handlers: dict[str, LeaderCall] = {}
        self._slow: set[str] = set()  # kinds whose handlers may take long
        self._queue: list[Message] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def on_call(self, kind: str, handler: LeaderCall, *, slow: bool = False) -> None:
        """Set the handler for messages of a kind. `slow`: it may take long, and others are not to wait for it."""
        self._handlers[kind] = handler
        if slow:
            self._slow.add(kind)

    async def tell(self, kind: str, payload: object) -> object:
        """See `Registry.tell_leader`."""
        loop = asyncio.get_running_loop()
        message = Message(_pack([kind, payload]), loop.create_future())
        if kind in self._slow:
            self._spawn([message])
            return await message.future
        if not self._queue:
            loop.call_soon(self._flush)
        self._queue.append(message)
        return await message.future

    def _flush(self) -> None:
        queue, self._queue = self._queue, []
        batch: list[Message] = []
        size = 0
        for message in queue:
            if len(batch) == BATCH_MESSAGES_MAX or (batch and size + len(message.data) > BATCH_BYTES_MAX):
                self._spawn(batch)
                batch, size = [], 0
            batch.append(message)
            size += len(message.data)
        self._spawn(batch)

    def _spawn(self, batch: list[Message]) -> None:
        task = asyncio.get_running_loop().create_task(self._run(batch))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, batch: list[Message]) -> None:
        """Attempt after attempt, until each message has its outcome or the time is over."""
        try:
            async with asyncio.timeout(self._timeout_s):
                while batch := await self._attempt(batch):
                    await self._changes.pause()
        except TimeoutError:
            for message in batch:
                message.fail(message.failure)
        except Exception as error:  # whatever it is, nobody may be left waiting
            for message in batch:
                message.fail(error)

    async def _attempt(self, batch: list[Message]) -> list[Message]:
        """One call; the messages that need another. Those whose sender gave up do not."""
        batch = [message for message in batch if not message.future.done()]
        if not batch:
            return []
        try:
            answer = await self._changes.call_leader(MESSAGES + _array([one.data for one in batch]))
        except (NoLeader, NotLeader, OutcomeUnknown) as error:
            for message in batch:
                message.note(error)
            return batch
        except asyncio.CancelledError:  # the time is over
            for message in batch:
                message.note(OutcomeUnknown("the leader did not answer in time"))
            raise
        outcomes = _lists(answer)
        if len(outcomes) != len(batch):
            raise Refused(500, "the leader's answer to messages is malformed")
        return [one for one, outcome in zip(batch, outcomes, strict=True) if not one.settle(outcome)]

    async def serve(self, caller: str, data: bytes) -> bytes:
        """On the leader: have the handlers answer the messages of another node, all at once."""
        messages = _lists(data)
        if not all(len(message) == 2 and isinstance(message[0], str) for message in messages):
            raise Refused(500, "a message to the leader is malformed")
        outcomes = await asyncio.gather(*(self._outcome(caller, *message) for message in messages))
        return _pack(outcomes)

    async def _outcome(self, caller: str, kind: str, payload: object) -> list[object]:
        """What the handler made of one message, as it travels."""
        handler = self._handlers.get(kind)
        try:
            if handler is None:
                raise Refused(500, f"the leader knows no messages of kind {kind!r}")
            return [_DONE, await handler(caller, payload)]
        except Refused as error:
            return [_REFUSED, error.status, error.text]
        except Overloaded as error:
            return [_OVERLOADED, error.retry_after_s, str(error)]
        except (NoLeader, NotLeader) as error:
            return [_NOT_APPLIED, str(error)]
        except RaftregError as error:
            return [_UNKNOWN, str(error)]
        except Exception as error:  # a bug in a handler fails this message only, and would do so again
            log.exception("a message of kind %r from %s failed unexpectedly", kind, caller)
            return [_REFUSED, 500, f"internal error: {type(error).__name__}"]


def _array(packed: list[bytes]) -> bytes:
    """The msgpack array of values that are packed already."""
    return b"".join((msgpack.Packer().pack_array_header(len(packed)), *packed))


def _pack(value: object) -> bytes:
    packed: bytes = msgpack.packb(value, unicode_errors="surrogateescape")
    return packed


def _lists(data: bytes) -> list[list[Any]]:
    """The lists that msgpack carried; Refused for bytes that are none."""
    try:
        unpacked = msgpack.unpackb(data, unicode_errors="surrogateescape")
    except (ValueError, msgpack.UnpackException) as error:
        raise Refused(500, f"a message between nodes is malformed: {error}") from None
    if not isinstance(unpacked, list) or not all(isinstance(part, list) and part for part in unpacked):
        raise Refused(500, "a message between nodes is malformed")
    return unpacked
