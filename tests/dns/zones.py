"""A zone over a state of a test's own, asked without any socket."""

from typing import TypeVar

from raftreg.clock import SystemClock
from raftreg.commands import Command, Deregister, Register, Request
from raftreg.dns import Answerer, ZoneSettings
from raftreg.model import Check, Node, PreparedQuery, Service, ServiceQuery, Weights
from raftreg.query_commands import QueryPut
from raftreg.state import Found, Query, State
from tests.dns.messages import Message, make_query, parse

T = TypeVar("T")


class Chance(SystemClock):
    """Real chance, at a time that stands still."""

    def wall(self) -> float:
        """1000 s after the epoch."""
        return 1000.0


class Zone:
    """One state and its answerer; commands tell the answerer what they changed, as a node does."""

    def __init__(self, settings: ZoneSettings | None = None) -> None:
        self.state = State()
        self.asked = 0  # queries of the state
        self.answerer = Answerer(
            self._lookup, settings or ZoneSettings(node_name="n1"), Chance(), lambda: self.state.index
        )

    def _lookup(self, query: Query[T]) -> Found[T]:
        self.asked += 1
        return query.run(self.state)

    def apply(self, command: Command) -> None:
        """Apply a command, and say so."""
        number = self.state.index
        applied = self.state.apply(Request(b"%d" % number, number, command))
        self.answerer.on_topics(applied.topics)

    def node(self, name: str, address: str, **more: dict[str, str]) -> None:
        """Register a node; `meta` and `tagged` are dicts."""
        self.apply(Register(name, Node(name, "", address, more.get("tagged"), more.get("meta"))))

    def service(
        self,
        name: str,
        node: str = "n1",
        *,
        status: str = "passing",
        service_id: str = "",
        address: str = "",
        port: int = 80,
        tags: tuple[str, ...] = (),
        weights: tuple[int, int] = (1, 1),
        **more: dict[str, object],
    ) -> None:
        """Register an instance with one check on a node that is there; `tagged` and `extra` are dicts."""
        service_id = service_id or name
        tagged = more.get("tagged")
        service = Service(
            node,
            service_id,
            name,
            tags,
            address,
            port,
            {key: {"Address": value, "Port": 1} for key, value in tagged.items()} if tagged else None,
            weights=Weights(*weights),
            extra=more.get("extra"),
        )
        check = Check(node, f"c-{service_id}", "c", status, service_id=service_id)
        self.apply(Register(node, None, service, (check,)))

    def drop(self, node: str) -> None:
        """Deregister a node."""
        self.apply(Deregister(node))

    def prepare(self, name: str, query: ServiceQuery, ttl: str = "") -> None:
        """Store a prepared query."""
        self.apply(QueryPut(PreparedQuery(f"id-{name}", name, query, dns_ttl=ttl)))

    def ask(self, name: str, kind: str = "A", *, udp: bool = True, edns: int | None = None) -> Message:
        """The answer to a question."""
        return parse(self.answerer.answer(make_query(name, kind, edns=edns), udp=udp))

    def answers(self, name: str, kind: str = "A") -> list[str]:
        """The answers to a question, without owner, sorted."""
        return sorted(row.split(" ", 1)[1] for row in self.ask(name, kind, udp=False).answer)
