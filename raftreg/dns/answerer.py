"""The pure part of DNS: the bytes of a query in, those of its answer out.

Plans of answers are kept until something changes that they lean on, so that what a question costs does not depend on
how much is written, and little on how large the answer is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from raftreg.clock import Clock
from raftreg.dns import wire
from raftreg.dns.plans import Plan, Space, assemble, error_message
from raftreg.dns.resolver import Lookup, Resolver
from raftreg.dns.reverse import ReverseNames
from raftreg.dns.settings import ZoneSettings
from raftreg.dns.wire import Malformed, Question, parse_question
from raftreg.registry import EVERYTHING
from raftreg.state import Topic
from raftreg.state.places import EveryHost

PLANS_MAX = 4096
UDP_SIZE_MAX = 65_000  # a datagram over IPv4 holds a little more
TCP_SIZE_MAX = 65_535
NOTHING_YET = 1  # the index of a state to which nothing was ever applied

_Key = tuple[bytes, int]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, and for those who can ask a recursor what they may do about it: the question and the plan."""

    data: bytes
    rcode: int
    question: Question | None = None
    plan: Plan | None = None


class Answerer:
    """Answers queries from the local copy. For the event loop's thread only."""

    def __init__(
        self,
        lookup: Lookup,
        settings: ZoneSettings,
        clock: Clock,
        index: Callable[[], int] = lambda: NOTHING_YET + 1,
    ) -> None:
        """`index` tells how far the local copy is: as long as there is none, names of the zone are SERVFAIL."""
        self._lookup = lookup
        self._settings = settings
        self._clock = clock
        self._index = index
        self._reverse = ReverseNames(lambda: lookup(EveryHost()).value, settings.datacenter)
        self._plans: dict[_Key, Plan] = {}
        self._leaning: dict[Topic, set[_Key]] = {}
        self._made = 0  # plans, since everything was forgotten

    def answer(self, query: bytes, *, udp: bool = True) -> bytes:
        """The answer to a query, b"" for silence."""
        reply = self.reply(query, udp=udp)
        return b"" if reply is None else reply.data

    def reply(self, query: bytes, *, udp: bool = True) -> Reply | None:
        """The answer to a query; None where an answer could only do harm (to an answer, or to what is no message)."""
        if len(query) < wire.HEADER_SIZE or query[2] & 0x80:
            return None
        if query[2] & 0x78:
            return Reply(wire.bare_reply(query, wire.NOTIMP), wire.NOTIMP)
        try:
            question = parse_question(query)
        except Malformed:
            return Reply(wire.bare_reply(query, wire.FORMERR), wire.FORMERR)
        return self._reply(question, udp)

    def _reply(self, question: Question, udp: bool) -> Reply:
        if question.edns_version > 0:
            return Reply(error_message(question, wire.BADVERS), wire.BADVERS)
        if question.klass not in (wire.IN, wire.CLASS_ANY):
            return Reply(error_message(question, wire.REFUSED), wire.REFUSED)
        plan = self._plan(question)
        return Reply(self.assemble(plan, question, udp), plan.rcode, question, plan)

    def assemble(self, plan: Plan, question: Question, udp: bool) -> bytes:
        """The message that answers a question by a plan."""
        return assemble(
            plan,
            question,
            self._space(question, udp),
            self._clock.token,
            serial=int(self._clock.wall()) if plan.soa else 0,
            flags=wire.RA if self._settings.recurses else 0,
        )

    def _space(self, question: Question, udp: bool) -> Space:
        if not udp:
            return Space(TCP_SIZE_MAX)
        size = min(max(question.udp_size or 0, wire.UDP_SIZE_MIN), UDP_SIZE_MAX)
        return Space(size, self._settings.udp_answer_limit if size == wire.UDP_SIZE_MIN else 0)

    def _plan(self, question: Question) -> Plan:
        key = question.name, question.type
        plan = self._plans.get(key)
        if plan is None:
            resolver = Resolver(self._lookup, self._settings, self._reverse)
            plan = resolver.plan(question)
            if plan.flags & wire.AA and self._index() <= NOTHING_YET:
                return Plan(wire.SERVFAIL, flags=0)
            self._keep(key, plan, resolver.topics)
        return plan

    def _keep(self, key: _Key, plan: Plan, topics: set[Topic]) -> None:
        self._made += 1
        if self._made > PLANS_MAX:
            self._forget_all()
        self._plans[key] = plan
        for topic in topics:
            self._leaning.setdefault(topic, set()).add(key)

    def on_topics(self, topics: Sequence[Topic]) -> None:
        """Forget the plans that lean on what changed."""
        if not self._leaning and not self._reverse.is_built:
            return  # a node that nobody asks has nothing to do for each write
        if EVERYTHING in topics:
            self._forget_all()
            self._reverse.forget()
            return
        for topic in topics:
            for key in self._leaning.pop(topic, ()):
                self._plans.pop(key, None)
        if self._reverse.is_built and not self._reverse.topics.isdisjoint(topics):
            self._reverse.forget()

    def _forget_all(self) -> None:
        self._plans.clear()
        self._leaning.clear()
        self._made = 0
