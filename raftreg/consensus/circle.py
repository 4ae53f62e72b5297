"""A node that has a cluster, among those with which it is connected.

Here is decided whom it lets in, whom it dials, and what they tell each other of the members.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from raftreg import versions
from raftreg.consensus import StrangerStatus
from raftreg.consensus import messages as m
from raftreg.consensus.addressbook import AddressBook
from raftreg.consensus.admission import Admission, others_in_force
from raftreg.consensus.boot import FORGETFUL, refusal, refusal_of_stranger, what_to_run
from raftreg.consensus.driver import Driver
from raftreg.consensus.hello import TOO_OLD, Hello
from raftreg.consensus.identity import DataDir
from raftreg.consensus.journal import Placed
from raftreg.consensus.members import Members, name_of, same_name
from raftreg.consensus.settings import RaftSettings
from raftreg.consensus.target import Target
from raftreg.consensus.told import Notice, notice, read_notice

_log = logging.getLogger(__name__)
LOG_END = "log-end"  # what a hello says of the log, beside addresses
OBJECTIONS_ELECTIONS = (
    3.0  # how long voters that are missing may take to object, in greatest election timeouts
)
Work = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Outside:
    """What is done to the world: messages, connections, and time. `later(seconds, work)`."""

    send: Callable[[str, list[Any]], bool]
    reset: Callable[[str], None]
    aim: Callable[[Iterable[Target]], None]
    later: Callable[[float, Work], object]
    now: Callable[[], float]


class Circle:
    """The connections of one node with a cluster. Ids are those of members and strangers alike."""

    def __init__(
        self, settings: RaftSettings, data_dir: DataDir, driver: Driver, book: AddressBook, outside: Outside
    ) -> None:
        self.driver = driver
        self._settings, self._data_dir, self._book, self._outside = settings, data_dir, book, outside
        self._me = data_dir.identity.member_id
        self._met: dict[str, tuple[Hello, float]] = {}  # connected, since when
        self._processes: dict[str, str] = {}  # member -> nonce of its process that acted last
        self._in_use: dict[
            str, Placed
        ] = {}  # what connected peers go by, where that is not known to be committed
        self._told: tuple[tuple[int, int], Placed | None] | None = None  # what everybody connected was told
        self._said: str | None = None  # about this node's own standing
        objections_s = OBJECTIONS_ELECTIONS * settings.election_timeout_max_s
        self.admission = Admission(
            self._me,
            lambda: self.newest.members,
            outside.send,
            data_dir.count_start,
            driver.peer_up,
            lambda work: outside.later(objections_s, work),
            is_new=data_dir.identity.starts == 1,
            others=lambda: others_in_force(
                self.newest, driver.engine.journal, driver.engine.raftCommitIndex, self._in_use.values()
            ),
        )

    # -- view ------------------------------------------------------------------------------------------------------
    @property
    def newest(self) -> Placed:
        """The newest member set that this node knows: the latest in its log, or a later one that was told."""
        engine = self.driver.engine
        return engine.told or engine.journal.placed

    @property
    def committed(self) -> Placed:
        """The newest committed member set that this node knows, by its log or by hearsay."""
        engine = self.driver.engine
        return engine.told or engine.committed_members

    @property
    def known(self) -> frozenset[str]:
        """Ids in the sets that count or may come to count, and this node's own."""
        engine = self.driver.engine
        return (
            self.newest.members.all | engine.members.all | engine.committed_members.members.all | {self._me}
        )

    @property
    def removed(self) -> bool:
        """Whether this node is a member by its own log, and a later set was committed without it."""
        engine = self.driver.engine
        return engine.removed and self._me in engine.members.all

    @property
    def shown(self) -> Members:
        """The members that people are shown: of the set in use; at a node outside of it, of the one it was told."""
        own, newest = self.driver.engine.members, self.newest.members
        return own if self._me in newest.all & own.all else newest

    def strangers(self) -> tuple[StrangerStatus, ...]:
        """Who is connected and no member, sorted by name."""
        members, now = self.shown.all, self._outside.now()
        return tuple(
            StrangerStatus(member, name_of(member), self._book.text(member), now - since)
            for member, (_, since) in sorted(self._met.items())
            if member not in members
        )

    def addresses(self) -> dict[str, str]:
        """Where each member and each stranger is reached, as far as that is known."""
        return self._book.texts(self.known | set(self._met))

    # -- who is let in ---------------------------------------------------------------------------------------------
    def judge(self, hello: Hello) -> str | None:
        """Whether to talk to a peer: None, or why not."""
        why = refusal(self.driver.engine.members.cluster_id, self._settings.name, hello)
        if why is None and hello.member_id not in self.known:
            why = refusal_of_stranger(hello, {*self._met, self._me}, self.known)
        return why or self._mismatch(hello) or self._forgot(hello)

    def _mismatch(self, hello: Hello) -> str | None:
        """A refusal if a process does not know the feature level of the cluster."""
        level = self.driver.engine.machine.level()
        why = versions.misfit_text(hello.name, hello.levels, level)
        return why if why is None or hello.levels[1] >= level else TOO_OLD + why

    def levels_of(self, member: str) -> tuple[int, int] | None:
        """The feature levels that a connected process knows, None if it is not connected."""
        met = self._met.get(member)
        return None if met is None else met[0].levels

    def _forgot(self, hello: Hello) -> str | None:
        """A refusal if a process lacks what its member promised."""
        stale = self._shortened(hello) or self._data_dir.judge_starts(hello)
        return None if stale is None else FORGETFUL + stale

    def _shortened(self, hello: Hello) -> str | None:
        """A refusal if a new process of a member lost committed entries that the one before it acked to this leader.

        A copy that was made while the former process ran shows the next count of starts, so this alone gives it away.
        """
        engine, end = self.driver.engine, hello.advertise.get(LOG_END, "")
        if not engine.leading or not end.isdecimal() or self._processes.get(hello.member_id) == hello.nonce:
            return None
        promised = min(engine.guard.acked_index(hello.member_id), engine.raftCommitIndex)
        if int(end) >= promised:
            return None
        return (
            f"the log of {hello.member_id} ends at entry {end}, but it had acknowledged entry {promised}: its data "
            "directory is an old copy, or its disk lost what it had synced. Bring back the newest data directory"
        )

    # -- connections -----------------------------------------------------------------------------------------------
    def met(self, hello: Hello) -> None:
        """A peer was let in, and let this node in."""
        member = hello.member_id
        self._met[member] = hello, self._outside.now()
        self._book.heard(hello)
        if hello.cluster_id is None:
            self._outside.send(member, [m.GENESIS, self._data_dir.identity.genesis])
        else:
            self._outside.send(member, self._notice())
            self.admission.met(hello)
        self.take_aim()

    def lost(self, member: str) -> None:
        """A connection ended."""
        self._met.pop(member, None)
        self._in_use.pop(member, None)
        self.admission.lost(member)
        if member in self.driver.engine.guard.up:
            self.driver.peer_down(member)
        self.take_aim()

    def received(self, member: str, message: list[Any]) -> None:
        """A message of a connected process."""
        kind = message[0]
        if kind == m.MEMBERS:
            self._hear(member, message)
        elif member in self.driver.engine.guard.up:
            self.driver.receive(member, message)
        elif kind == m.JOIN:
            self._joins(member)

    def _joins(self, member: str) -> None:
        """A process begins to act. What it is may have changed since it was let in, so it is judged again."""
        hello = self.admission.hello_of(member)
        if hello is None or self._mismatch(hello) is not None or self._forgot(hello) is not None:
            self._outside.reset(member)  # It is told why when it says hello again.
            return
        self._data_dir.peer_book.note(hello)
        self._processes[member] = hello.nonce
        self.admission.joins(member)

    # -- member sets -----------------------------------------------------------------------------------------------
    def _notice(self) -> list[Any]:
        committed = self.committed  # Also hearsay: who knows the way passes it on, member or not.
        return notice(Notice(committed, self._book.texts(committed.members.all), self._later_in_use))

    @property
    def _later_in_use(self) -> Placed | None:
        """The set in use here, if it is later than the newest that is known to be committed."""
        in_use = self.driver.engine.journal.placed
        return in_use if in_use.place > self.committed.place else None

    def tell(self, member: str) -> None:
        """Somebody who is in no committed set acts as if it were."""
        self._outside.send(member, self._notice())

    def _hear(self, member: str, message: list[Any]) -> None:
        told = read_notice(message)
        engine = self.driver.engine
        if told is not None and told.committed.members.cluster_id == engine.members.cluster_id:
            self._book.told(told.addresses)
            self._in_use.pop(member, None)
            if told.in_use is not None and member in self._met:
                self._in_use[member] = told.in_use
            engine.told_members(told.committed)
            self.changed()
        self.admission.spoke(member)
        self._say_standing()

    def changed(self) -> None:
        """The member set in use, the committed one, the newest that was told, or the feature level is another one."""
        self._book.hinted(self.newest.members)
        kept = self.known | set(self._met)
        self._book.keep(kept)
        self._data_dir.peer_book.keep(kept)
        self._processes = {member: nonce for member, nonce in self._processes.items() if member in kept}
        told = self.committed.place, self._later_in_use
        if told != self._told:
            self._told = told
            for member, (hello, _) in list(self._met.items()):
                if hello.cluster_id is not None:
                    self.tell(member)
        for member, (hello, _) in list(self._met.items()):
            if self._mismatch(hello) is not None:
                self._outside.reset(member)  # The level was raised since; it is told so when it comes back.
        self.admission.look()
        self.take_aim()
        if self._said is not None:
            self._say_standing()

    def take_aim(self) -> None:
        """Dial the members; and, while none of them is there, also what the operator named.

        So does a single voter: it may be on the data of another cluster, or on a copy, and they know.
        """
        members, settings, of = self.newest.members.all - {self._me}, self._settings, self._book.of
        addresses = [(member, of(member)) for member in sorted(members)]
        targets = [Target(name_of(member), address, member) for member, address in addresses if address]
        if members.isdisjoint(self._met):
            names = {target.name.lower() for target in targets}
            targets += [Target(*peer) for peer in settings.peers.items() if peer[0].lower() not in names]
            targets += [Target("", address) for address in settings.join]
        self._outside.aim(target for target in targets if not same_name(target.name, settings.name))

    # -- for people ------------------------------------------------------------------------------------------------
    def _say_standing(self) -> None:
        """Whether this node is a member, each time that this changes."""
        newest, name = self.newest.members, self._settings.name
        if self._me in newest.all:
            standing = "is a voter" if self._me in newest.voters else "is a learner"
        elif self.removed:
            standing = "was removed"
        else:
            standing = "is no member"
        if standing == self._said or (self._said is None and self._me in newest.all):
            self._said = standing
            return
        self._said = standing
        text = f"this node {standing} of cluster {newest.cluster_id}".replace("removed of", "removed from")
        if self._me in newest.all:
            _log.info(text)
        else:
            names = ", ".join(sorted(map(name_of, newest.all)))
            _log.warning("%s (%s). To make it one: %s", text, names, what_to_run(name, self._me, newest.all))
