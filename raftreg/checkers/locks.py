"""Mutual exclusion: nobody holds a lock while another one certainly does, and fencing tokens only grow.

A holder is certain of a lock from the moment it was told so until it asks to release it, or until its session could
have ended. What was never answered proves nothing: such an attempt is no `Hold`.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter

from raftreg.checkers.history import Operation


@dataclass(frozen=True, slots=True)
class Hold:
    """One time in which `session` was certain of `lock`. `fence`: the token that came with it, None if unknown.

    `acquired` is the call that got it; `until_s` when the certainty ends; `released` the call that gave it back.
    `taken`: that call was refused as if the lock was not held, while the session certainly lived.
    """

    lock: str
    session: str
    acquired: Operation
    until_s: float
    fence: int | None = None
    released: Operation | None = None
    taken: bool = False

    @property
    def since_s(self) -> float:
        """When the certainty begins."""
        return self.acquired.ended_s

    @property
    def calls(self) -> tuple[Operation, ...]:
        """The calls at its ends."""
        return (self.acquired,) if self.released is None else (self.acquired, self.released)


@dataclass(frozen=True, slots=True)
class Guarded:
    """One accepted write that was allowed only while `session` holds `lock`."""

    lock: str
    session: str
    call: Operation


@dataclass(frozen=True, slots=True)
class LockFault:
    """`kind` is shared, taken, fence or unguarded; `calls` show it."""

    kind: str
    text: str
    calls: tuple[Operation, ...]

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


def check(holds: Iterable[Hold], guarded: Iterable[Guarded] = ()) -> list[LockFault]:
    """All faults, lock by lock.

    shared     two sessions were certain of a lock at the same time
    taken      a holder was told that it holds nothing
    fence      a later holder got a token that is not greater
    unguarded  a guarded write was accepted though another session held the lock all the while
    """
    held: defaultdict[str, list[Hold]] = defaultdict(list)
    for hold in holds:
        held[hold.lock].append(hold)
    writes: defaultdict[str, list[Guarded]] = defaultdict(list)
    for write in guarded:
        writes[write.lock].append(write)
    faults = []
    for lock in sorted(held):
        mine = sorted(held[lock], key=attrgetter("since_s"))
        faults += _shared(mine) + _taken(mine) + _fences(mine) + _unguarded(mine, writes[lock])
    return faults


def _shared(holds: list[Hold]) -> list[LockFault]:
    """`holds` in the order of their beginning."""
    faults = []
    longest: Hold | None = None  # of those that began earlier, the one that lasts longest
    for hold in holds:
        if longest is not None and longest.session != hold.session and hold.since_s < longest.until_s:
            end = min(longest.until_s, hold.until_s)
            if hold.since_s < end:
                text = (
                    f"two sessions held {hold.lock} for {(end - hold.since_s) * 1000:.1f} ms at the same time"
                )
                faults.append(LockFault("shared", text, (*longest.calls, *hold.calls[1:], hold.acquired)))
        if longest is None or hold.until_s > longest.until_s:
            longest = hold
    return faults


def _taken(holds: list[Hold]) -> list[LockFault]:
    return [
        LockFault("taken", f"{hold.lock} was taken from the session that held it", hold.calls)
        for hold in holds
        if hold.taken
    ]


def _fences(holds: list[Hold]) -> list[LockFault]:
    """A token is compared with the greatest one that was handed out before its lock was asked for."""
    fenced = [hold for hold in holds if hold.fence is not None]
    by_question = sorted(fenced, key=lambda hold: hold.acquired.invoked_s)
    faults, position = [], 0
    greatest: Hold | None = None
    for hold in by_question:
        while position < len(fenced) and fenced[position].since_s < hold.acquired.invoked_s:
            other = fenced[position]
            if greatest is None or (other.fence or 0) > (greatest.fence or 0):
                greatest = other
            position += 1
        if (
            greatest is not None
            and greatest.session != hold.session
            and (hold.fence or 0) <= (greatest.fence or 0)
        ):
            text = f"token {hold.fence} of {hold.lock} after {greatest.fence}"
            faults.append(LockFault("fence", text, (greatest.acquired, hold.acquired)))
    return faults


def _unguarded(holds: list[Hold], writes: list[Guarded]) -> list[LockFault]:
    """For each write the holds that had begun before it, of which the two that last longest decide."""
    faults, position = [], 0
    lasting: list[Hold] = []  # the one that lasts longest, and the one of another session
    for write in sorted(writes, key=lambda each: each.call.invoked_s):
        while position < len(holds) and holds[position].since_s < write.call.invoked_s:
            lasting = _two_longest([*lasting, holds[position]])
            position += 1
        for hold in lasting:
            if hold.session != write.session and write.call.ended_s < hold.until_s:
                text = f"a write under {write.lock} was accepted from a session that did not hold it"
                faults.append(LockFault("unguarded", text, (*hold.calls, write.call)))
                break
    return faults


def _two_longest(holds: list[Hold]) -> list[Hold]:
    ordered = sorted(holds, key=attrgetter("until_s"), reverse=True)
    others = [hold for hold in ordered if hold.session != ordered[0].session]
    return [ordered[0], *others[:1]]
