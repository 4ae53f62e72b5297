"""The table of prepared queries: by id, and by the names under which they are looked up."""

from collections.abc import Container, Iterable
from dataclasses import replace

from raftreg.errors import Refused
from raftreg.model import PreparedQuery
from raftreg.query_commands import QueryDelete, QueryPut
from raftreg.state.changes import PREPARED, Changes, fold


class PreparedTable:
    """Prepared queries by id. `changed` numbers the last change of any of them.

    The name of a template is a prefix, and "" is that of a template for every name; other queries without a name
    are found by their id only.
    """

    def __init__(self, changed: int = 1, queries: Iterable[PreparedQuery] = ()) -> None:
        self.changed = changed
        self.queries: dict[str, PreparedQuery] = {}
        self._id_of_name: dict[str, str] = {}
        self._id_of_prefix: dict[str, str] = {}
        self._ids_of_session: dict[str, set[str]] = {}
        for query in queries:
            self._keep(query)

    def put(self, changes: Changes, command: QueryPut, sessions: Container[str]) -> str:
        """Create or replace a query, or raise Refused. `sessions` are the ids of those that live."""
        query = command.query
        old = self.queries.get(query.id)
        if command.exists and old is None:
            raise Refused(500, f"Cannot modify non-existent prepared query: '{query.id}'")
        if query.session and query.session not in sessions:
            raise Refused(500, f'invalid session "{query.session}"')
        self._refuse_taken_name(query)
        if old is not None:
            query = replace(query, create_index=old.create_index, modify_index=old.modify_index)
            if query == old:
                return query.id
            self._forget(old)
        created = changes.index if old is None else old.create_index
        self._keep(replace(query, create_index=created, modify_index=changes.index))
        self._touch(changes)
        return query.id

    def delete(self, changes: Changes, command: QueryDelete) -> bool:
        """Delete a query, or raise Refused if there is none."""
        query = self.queries.get(command.id)
        if query is None:
            raise Refused(500, f"Cannot modify non-existent prepared query: '{command.id}'")
        self._forget(query)
        self._touch(changes)
        return True

    def end_session(self, changes: Changes, session: str) -> None:
        """Delete the queries that were bound to a session."""
        for query_id in sorted(self._ids_of_session.get(session, ())):
            self._forget(self.queries[query_id])
            self._touch(changes)

    def ordered(self) -> list[PreparedQuery]:
        """All queries, by id."""
        return [self.queries[query_id] for query_id in sorted(self.queries)]

    def find(self, name: str) -> PreparedQuery | None:
        """The query that is meant by an id or a name: of that id, of that name, or with the longest fitting prefix."""
        query = self.queries.get(name.lower())
        if query is not None:
            return query
        folded = fold(name)
        query_id = self._id_of_name.get(folded)
        if query_id is None and self._id_of_prefix:
            fitting = (folded[:end] for end in range(len(folded), -1, -1))
            query_id = next(
                (self._id_of_prefix[part] for part in fitting if part in self._id_of_prefix), None
            )
        return None if query_id is None else self.queries[query_id]

    def _refuse_taken_name(self, query: PreparedQuery) -> None:
        """Raise Refused if another query is found by that name already."""
        name, is_template = fold(query.name), bool(query.template.type)
        if not name and not is_template:
            return
        holder = self._id_of_name.get(name) or self._id_of_prefix.get(name)
        if holder is not None and holder != query.id:
            if not name:
                raise Refused(500, "a query template with an empty name already exists")
            raise Refused(500, f"name '{query.name}' aliases an existing query name")
        if name in self.queries:
            raise Refused(500, f"name '{query.name}' aliases an existing query ID")

    def _keep(self, query: PreparedQuery) -> None:
        self.queries[query.id] = query
        if query.session:
            self._ids_of_session.setdefault(query.session, set()).add(query.id)
        if query.template.type:
            self._id_of_prefix[fold(query.name)] = query.id
        elif query.name:
            self._id_of_name[fold(query.name)] = query.id

    def _forget(self, query: PreparedQuery) -> None:
        del self.queries[query.id]
        if query.session:
            ids = self._ids_of_session[query.session]
            ids.remove(query.id)
            if not ids:
                del self._ids_of_session[query.session]
        if query.template.type:
            del self._id_of_prefix[fold(query.name)]
        elif query.name:
            del self._id_of_name[fold(query.name)]

    def _touch(self, changes: Changes) -> None:
        self.changed = changes.index
        changes.touch(PREPARED)
