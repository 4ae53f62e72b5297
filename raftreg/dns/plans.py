"""Plans: all that an answer consists of but chance, size and the time of day. One plan serves many answers."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from raftreg.dns import wire
from raftreg.dns.wire import HEADER, HEADER_SIZE, OPT_SIZE, POINTER_MAX, Question
from raftreg.instances import shuffled

Token = Callable[[int], bytes]

_TARGET_AT: Final = 18  # where the target begins in an SRV record whose owner is a pointer
_SOA_PARTS: Final = b"".join(number.to_bytes(4) for number in (3600, 600, 86400, 0))


@dataclass(frozen=True, slots=True)
class Extra:
    """An additional record. The owner is a name in wire form, or None for the target of the answer; `rest` follows."""

    owner: bytes | None
    rest: bytes


@dataclass(frozen=True, slots=True)
class Group:
    """Records that stay together: `count` answers, and the additional records that go with them.

    `target` is the name that additional records without an owner belong to; it is the end of the only answer then.
    `address` is the first of these, as it is the only one in almost all of the answers that are large.
    """

    answers: bytes
    count: int = 1
    extras: tuple[Extra, ...] = ()
    target: bytes = b""
    address: bytes = b""


@dataclass(frozen=True, slots=True)
class Plan:
    """An answer in the making.

    `tiers` are groups of answers; the order within a tier is a matter of chance if `by_chance`. `soa` says in which
    section the SOA record of `domain` stands. `trims`: what does not fit, or goes beyond the number of answers
    that the client takes, is left out without the TC flag, as clients of Consul know it; without it, additional records
    are left out first.
    """

    rcode: int = wire.NOERROR
    tiers: tuple[tuple[Group, ...], ...] = ()
    authority: tuple[Group, ...] = ()
    soa: str = ""  # "", answer or authority
    domain: bytes = b""
    by_chance: bool = False
    trims: bool = False
    groups_max: int = 0  # 0: any number
    flags: int = wire.AA
    forward: bool = False  # a recursor may know better
    outside: bytes | None = None  # a name of another domain in which the answers end, for a recursor

    def groups(self, token: Token, limit: int) -> list[Group]:
        """At most `limit` groups of answers (0: all), in their order."""
        limit = min(limit or self.groups_max, self.groups_max or limit)
        drawn: list[Group] = []
        for tier in self.tiers:
            room = limit - len(drawn) if limit else len(tier)
            if self.by_chance and len(tier) > 1:
                drawn += shuffled(tier, token, min(room, len(tier)))
            else:
                drawn += tier[:room]
            if limit and len(drawn) >= limit:
                break
        return drawn


@dataclass(frozen=True, slots=True)
class Space:
    """What the client takes: bytes in all, and the number of answers (0: any)."""

    size: int
    answers: int = 0


def soa_data(domain: bytes, serial: int) -> bytes:
    """The data of the SOA record of a domain; the serial number is the time."""
    return b"\x02ns" + domain + b"\x0ahostmaster" + domain + (serial & 0xFFFFFFFF).to_bytes(4) + _SOA_PARTS


def assemble(
    plan: Plan, question: Question, space: Space, token: Token, *, serial: int = 0, flags: int = 0
) -> bytes:
    """The message that answers the question by the plan; `flags` are set beside its own."""
    edns = question.udp_size is not None
    size = space.size - (OPT_SIZE if edns else 0)
    out = _Sections(HEADER_SIZE + len(question.raw), size)
    flags |= plan.flags
    if plan.soa == "answer":
        out.fill((Group(_soa(plan.domain, serial)),), trims=False)
    fits = out.fill(plan.groups(token, space.answers if plan.trims else 0), trims=plan.trims)
    if not fits and not plan.trims:
        flags |= wire.TC
    if plan.soa == "authority":
        out.authority(_soa(plan.domain, serial), ())
    for group in shuffled(plan.authority, token, 3) if plan.authority else ():
        out.authority(group.answers, group.extras)
    return out.message(question, wire.reply_flags(question.flags, flags, plan.rcode), plan.rcode)


def error_message(question: Question, rcode: int, flags: int = 0) -> bytes:
    """A message without any record."""
    out = _Sections(HEADER_SIZE, 0)
    return out.message(question, wire.reply_flags(question.flags, flags, rcode), rcode)


def _soa(domain: bytes, serial: int) -> bytes:
    return wire.record(domain, wire.SOA, 0, soa_data(domain, serial))


class _Sections:
    """The sections of a message while they are filled, and the room that is left."""

    __slots__ = ("_additional", "_answers", "_authorities", "_counts", "_room", "_start")

    def __init__(self, start: int, size: int) -> None:
        """`start` is where the first answer will be, `size` how long the message may become."""
        self._start = start
        self._room = size - start
        self._counts = [0, 0]  # of answers and authorities
        self._answers: list[bytes] = []
        self._authorities: list[bytes] = []
        self._additional: list[bytes] = []

    def fill(self, groups: Iterable[Group], *, trims: bool) -> bool:
        """Add answers as long as there is room for them and what goes with them; False if not all were added.

        With `trims` only the first may lose what goes with it, else each, before it is left out itself.
        """
        room, start, count = self._room, self._start, self._counts[0]
        answers, additional = self._answers, self._additional
        fits = True
        for group in groups:
            size = needed = len(group.answers)
            extras: Sequence[bytes] = ()
            if group.address:
                extras = (_owner(group.target, start) + group.address,)
                needed += len(extras[0])
            if group.extras:
                extras = (*extras, *_with_owners(group.extras, group.target, start))
                needed = size + sum(map(len, extras))
            if needed > room and size <= room and not (trims and answers):
                extras, needed = (), size
            if needed > room:
                fits = False
                break
            answers.append(group.answers)
            additional += extras
            count += group.count
            start += size
            room -= needed
        self._room, self._start, self._counts[0] = room, start, count
        return fits

    def authority(self, records: bytes, extras: Sequence[Extra]) -> None:
        """Add an authority if there is room for it."""
        glue = _with_owners(extras, b"", 0)
        needed = len(records) + sum(map(len, glue))
        if needed <= self._room:
            self._authorities.append(records)
            self._counts[1] += 1
            self._room -= needed
            self._additional += glue

    def message(self, question: Question, flags: int, rcode: int) -> bytes:
        """The whole, with the OPT record if the client sent one."""
        opt = () if question.udp_size is None else (wire.opt_record(rcode),)
        answers, authorities = self._counts
        header = HEADER.pack(question.id, flags, 1, answers, authorities, len(self._additional) + len(opt))
        return b"".join((header, question.raw, *self._answers, *self._authorities, *self._additional, *opt))


def _owner(target: bytes, start: int) -> bytes:
    """The target of the answer that begins at `start`: a pointer, or in a very large message the name itself."""
    pointer = start + _TARGET_AT
    return (0xC000 | pointer).to_bytes(2) if target and pointer <= POINTER_MAX else target


def _with_owners(extras: Iterable[Extra], target: bytes, start: int) -> list[bytes]:
    owner = _owner(target, start)
    return [(owner if extra.owner is None else extra.owner) + extra.rest for extra in extras]
