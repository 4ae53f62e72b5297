"""When a process begins to act as its member, and towards whom.

A data directory may be a restored backup or a copy, whose process has forgotten what its member promised. Some peer
knows, but perhaps not the first one that it meets. So a process first introduces itself to all, and is silent as a
member: no vote, no ack, no question. It begins to act (`JOIN`) when a majority of the voters, itself included, let it
in, and every other voter has had its time to object; whoever objected has ended it before.

The voters are those of the newest set that it knows: that of its own log, or a later committed one that it was told.
Each peer tells the newest that it knows before it counts as having let the process in. So an old copy from the days of
other members is judged by those of today, and a node whose log names none but members that are gone is let in by them
too. It is not unsafe to go by what was told: this decides who may speak, not what counts. A stranger, which is in no
set, is let in by the same rule, without a voice of its own. A fresh directory has nothing to forget; a copy of it that
was taken before it became a member has, and is known to those with which the original acted since.

A set that is committed may be known for that to nobody who is left: its leader has started again, or is gone. So each
peer also tells the set that it goes by; and the latest of the own log may never have been committed, as that before it
was. A majority of a later set that somebody goes by, or of that before, is as good, once all had their time to object:
else a node that missed its own promotion, or that alone has a change which came to nothing, could not say the word
without which nobody is elected. Earlier sets than these are good for nothing: of one that was replaced member by
member, those who are left behind know nothing of the newer process of an old copy.

A single voter needs nobody, so nobody might get to speak before a copy of it, as old as the days when it was alone,
acts. Unless it is new, it gives others the time to find it.

Only then its start is counted, on its own disk first and by each peer that gets the `JOIN`. A process that was refused
therefore leaves no trace: it cannot climb over the count of the newer directory by being started again and again, and
it does not use up a number that the right process will need.
"""

from collections.abc import Callable, Iterable
from typing import Any

from raftreg.consensus import messages as m
from raftreg.consensus.hello import Hello
from raftreg.consensus.journal import Journal, Placed
from raftreg.consensus.members import Members

Send = Callable[[str, list[Any]], bool]


class Admission:
    """The connections of one process with others of its cluster. IO-free but for the functions that it is given."""

    def __init__(
        self,
        member_id: str,
        members: Callable[[], Members],
        send: Send,
        count_start: Callable[[], None],
        up: Callable[[str], None],
        later: Callable[[Callable[[], None]], object],
        *,
        is_new: bool,
        others: Callable[[], Iterable[Members]] = tuple,
    ) -> None:
        """`members`: the newest set known; `others`: those that may be in force instead. `count_start` makes this start
        durable; `up(member)`: both act, so messages may pass. `later(work)` runs `work` once the time for objections is
        over. `is_new`: it never acted before.
        """
        self.member_id = member_id
        self.acts = False
        self.was_let_in = False  # by any other member, ever
        self._members, self._send = members, send
        self._count_start, self._up, self._later = count_start, up, later
        self._is_new, self._others = is_new, others
        self._here: dict[str, Hello] = {}  # connected: each let the other in
        self._spoke: set[str] = set()  # of these, those that told the member set they know
        self._joined: set[str] = set()  # of these, those that act
        self._waiting = False

    def met(self, hello: Hello) -> None:
        """A connection to another process was established."""
        self._here[hello.member_id] = hello
        self.was_let_in = True
        self._joined.discard(hello.member_id)
        self._spoke.discard(hello.member_id)
        if self.acts:
            self._send(hello.member_id, [m.JOIN])

    def spoke(self, member_id: str) -> None:
        """The process at the other end told the member set that it knows."""
        if member_id in self._here:
            self._spoke.add(member_id)
            self.look()

    def lost(self, member_id: str) -> None:
        """The connection is gone."""
        self._here.pop(member_id, None)
        self._spoke.discard(member_id)
        self._joined.discard(member_id)

    def hello_of(self, member_id: str) -> Hello | None:
        """How the process at the other end of a connection introduced itself."""
        return self._here.get(member_id)

    def joins(self, member_id: str) -> None:
        """The process at the other end acts from now on."""
        self._joined.add(member_id)
        if self.acts:
            self._up(member_id)

    def look(self, *, in_time: bool = True) -> None:
        """Begin to act if it is time. Also to be called when there is nobody to meet, and when the set changed."""
        members = self._members()
        in_with = {self.member_id, *self._spoke}
        if self.acts or not any(each.majority(in_with) for each in (members, *self._others())):
            return
        nobody_asked = members.voters == {self.member_id} and not self._is_new
        if not in_time or (members.voters <= in_with and not nobody_asked):
            self._act()
        elif not self._waiting:
            self._waiting = True
            self._later(self._time_is_over)

    def _time_is_over(self) -> None:
        self._waiting = False
        self.look(in_time=False)

    def _act(self) -> None:
        self._count_start()
        self.acts = True
        for member in list(self._here):
            self._send(member, [m.JOIN])
        for member in list(self._joined):
            self._up(member)


def others_in_force(newest: Placed, journal: Journal, commit: int, told: Iterable[Placed]) -> list[Members]:
    """The sets that may be in force instead of the newest that this node knows: later ones that peers go by (`told`),
    and that before the latest of the own log, if that is the newest and not known to be committed."""
    found = [placed.members for placed in told if placed.place > newest.place]
    if newest.index > commit and newest == journal.placed:
        found.append(journal.placed_at(newest.index - 1).members)
    return found
