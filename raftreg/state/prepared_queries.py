"""Questions about prepared queries. See `raftreg.state.queries`."""

from dataclasses import dataclass

from raftreg.model import PreparedQuery
from raftreg.state.changes import PREPARED, Found, Topic
from raftreg.state.machine import State


@dataclass(frozen=True, slots=True)
class PreparedQueries:
    """All prepared queries, by id."""

    def topics(self) -> tuple[Topic, ...]:
        return (PREPARED,)

    def run(self, state: State) -> Found[tuple[PreparedQuery, ...]]:
        return Found(state.prepared.changed, tuple(state.prepared.ordered()))


@dataclass(frozen=True, slots=True)
class PreparedQueryById:
    """The prepared query of that id, or None."""

    id: str

    def topics(self) -> tuple[Topic, ...]:
        return (PREPARED,)

    def run(self, state: State) -> Found[PreparedQuery | None]:
        query = state.prepared.queries.get(self.id)
        return Found(state.prepared.changed if query is None else query.modify_index, query)


@dataclass(frozen=True, slots=True)
class PreparedQueryFor:
    """The prepared query that is meant by an id or a name, a template as it was stored, or None."""

    id_or_name: str

    def topics(self) -> tuple[Topic, ...]:
        return (PREPARED,)

    def run(self, state: State) -> Found[PreparedQuery | None]:
        return Found(state.prepared.changed, state.prepared.find(self.id_or_name))
