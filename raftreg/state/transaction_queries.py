"""Transactions that only read: a question about the state, like any other."""

from dataclasses import dataclass

from raftreg.state import transactions
from raftreg.state.changes import Changes, Found, Topic
from raftreg.state.machine import State
from raftreg.transactions import Operation, Outcome


@dataclass(frozen=True, slots=True)
class TransactionRead:
    """What operations give that change nothing. The records that they name hold names and ids only, to be hashable."""

    operations: tuple[Operation, ...]

    def topics(self) -> tuple[Topic, ...]:
        """None: nobody waits for a transaction."""
        return ()

    def run(self, state: State) -> Found[Outcome]:
        """The outcome; the index is that of the state."""
        assert not any(map(transactions.writes, self.operations)), "what writes goes through the log"
        return Found(state.index, transactions.run(state.core, Changes(state.index), self.operations))
