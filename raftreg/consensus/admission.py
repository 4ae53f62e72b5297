"""When a process begins to act as its member, and towards whom.

A data directory may be a restored backup or a copy, whose process has forgotten what its member promised. Some peer
knows, but perhaps not the first one that it meets. So a process first introduces itself to all, and is silent as a
member: no vote, no ack, no question. It begins to act (`JOIN`) when a majority of the voters, itself included, let it
in, and every other voter has had its time to object; whoever objected has ended it before.

Only then its start is counted, on its own disk first and by each peer that gets the `JOIN`. A process that was refused
therefore leaves no trace: it cannot climb over the count of the newer directory by being started again and again, and
it does not use up a number that the right process will need.
"""

from collections.abc import Callable
from typing import Any

from raftreg.consensus import messages as m
from raftreg.consensus.hello import Hello
from raftreg.consensus.members import Members

Send = Callable[[str, list[Any]], bool]


class Admission:
    """The connections of one process with other members. IO-free but for the functions that it is given."""

    def __init__(
        self,
        member_id: str,
        members: Callable[[], Members],
        send: Send,
        count_start: Callable[[], None],
        up: Callable[[str], None],
        later: Callable[[Callable[[], None]], object],
    ) -> None:
        """`count_start` makes this start durable; `up(member)`: both act, so messages may pass.

        `later(work)` runs `work` once the time for objections is over.
        """
        self.member_id = member_id
        self.acts = False
        self.was_let_in = False  # by any other member, ever
        self._members, self._send = members, send
        self._count_start, self._up, self._later = count_start, up, later
        self._here: dict[str, Hello] = {}  # connected: each let the other in
        self._joined: set[str] = set()  # of these, those that act
        self._waiting = False

    def met(self, hello: Hello) -> None:
        """A connection to a member was established."""
        self._here[hello.member_id] = hello
        self.was_let_in = True
        self._joined.discard(hello.member_id)
        if self.acts:
            self._send(hello.member_id, [m.JOIN])
        else:
            self.look()

    def lost(self, member_id: str) -> None:
        """The connection is gone."""
        self._here.pop(member_id, None)
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
        """Begin to act if it is time. Also to be called when there is nobody to meet."""
        members = self._members()
        in_with = {self.member_id, *self._here}
        if self.acts or not members.majority(in_with):
            return
        if not in_time or members.voters <= in_with:
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
