"""The state machine that consensus drives: the state, and whoever wants to know what changed in it."""

from collections.abc import Callable, Iterator, Sequence

from raftreg.commands import Result
from raftreg.state import EVERYTHING, State, Topic
from raftreg.watch import Watch

EVERY_COMMAND: Topic = ("*", "index")  # for waiters that want to know of every entry, whatever it changed


class Replica:
    """`raftreg.consensus.StateMachine` over a State: applies entries, then wakes the waiters of what they changed."""

    def __init__(self, state: State, watch: Watch | None = None) -> None:
        self.state = state
        self.watch = watch if watch is not None else Watch()
        self._listeners: list[Callable[[Sequence[Topic]], None]] = []

    def on_topics(self, callback: Callable[[Sequence[Topic]], None]) -> None:
        """Call back with what each entry changed, and (EVERYTHING,) after the state was replaced. Must not raise."""
        self._listeners.append(callback)

    def apply(self, index: int, data: bytes) -> list[Result]:
        """Apply one log entry, which is a batch of requests; the result of each."""
        applied = self.state.apply_entry(data)
        topics = [topic for one in applied for topic in one.topics]
        if EVERYTHING in topics:  # a restore
            self.watch.notify_all()
            self._tell(topics)
        elif topics:
            self.watch.notify(topics)
            self._tell(topics)
        self.watch.notify((EVERY_COMMAND,))
        return [one.result for one in applied]

    def freeze(self) -> Callable[[], Iterator[bytes]]:
        """A copy of the state, as a function that encodes it in pieces, in another thread."""
        return self.state.freeze()

    def effort(self) -> int:
        """How many commands were applied, in whatever entries."""
        return self.state.index

    def level(self) -> int:
        """The feature level of the cluster."""
        return self.state.level

    def load(self, data: bytes) -> None:
        """Replace the state and wake everybody."""
        self.state.load(data)
        self.watch.notify_all()
        self._tell((EVERYTHING,))

    def _tell(self, topics: Sequence[Topic]) -> None:
        for callback in self._listeners:
            callback(topics)
