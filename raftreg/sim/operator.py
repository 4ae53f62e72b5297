"""Who operates the simulated cluster: adds, promotes, removes and replaces members, and moves the leadership.

It asks the leader itself, asks the next one when a leader has to go first, and where the outcome is unknown it looks at
the members before it does anything else; or it asks the registry of any member, which does all that.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raftreg.chance import Stream
from raftreg.consensus import MemberChange
from raftreg.consensus.members import Members, name_of
from raftreg.consensus.node import RaftNode
from raftreg.errors import HandingOver, NotApplied, OutcomeUnknown, Refused
from raftreg.registry.member_names import Wish
from raftreg.registry.membership import Membership
from raftreg.sim.loop import Life

if TYPE_CHECKING:
    from raftreg.sim.cluster import Cluster
    from raftreg.sim.host import Host

HEALING_EVERY_S = 0.1  # times the profile's timing
ATTEMPTS = 4  # of a change that leaders hand over for
REPEAT_S = 0.2
BY_REGISTRY = 0.25  # of the changes
WAITS_S = 14.0  # for so long a change may wait for leaders, in the registry and at the leader


@dataclass(frozen=True, slots=True)
class Done:
    """A change that was asked for. `change` is None for a hand-over of the leadership."""

    leader: "Host"
    change: MemberChange | None


class Operator:
    """`told` counts what leaders answered."""

    def __init__(self, cluster: "Cluster") -> None:
        self.cluster, self.loop = cluster, cluster.loop
        self.told: Counter[str] = Counter()
        self._waiting: dict[
            int, tuple[Life, float]
        ] = {}  # what is asked for: (until this life ends, or until then)
        self._asked = 0

    @property
    def waits(self) -> bool:
        """Whether a change was asked for that a leader may yet begin, by what was known of the disks then."""
        now = self.loop.now
        return any(life.alive and until > now for life, until in self._waiting.values())

    def _wait(self, life: Life) -> int:
        self._asked += 1
        self._waiting[self._asked] = life, self.loop.now + WAITS_S
        return self._asked

    # -- what could be done --------------------------------------------------------------------------------------------
    def act(self, dice: Stream) -> Done | None:
        """Ask some leader for something; None if nothing could be asked."""
        leaders = self._leaders()
        if not leaders:
            return None
        leader = dice.choice(leaders)
        options = self._options(leader)
        if not options:
            return None
        change = dice.choice(options)
        if change is None:
            self._ask(leader, self._transfer)
            return Done(leader, None)
        if dice.random() < BY_REGISTRY:
            self._wish(dice, change)
        else:
            self.ask(leader, change)
        return Done(leader, change)

    def _leaders(self) -> list["Host"]:
        return [
            host
            for host in self.cluster.hosts.values()
            if host.up and host.engine is not None and host.engine.leading
        ]

    def _options(self, leader: "Host") -> list[MemberChange | None]:
        """The changes to choose from, each as often as it is likely; None hands the leadership over."""
        assert leader.engine is not None
        assert self.cluster.profile.membership is not None
        bounds, members = self.cluster.profile.membership, leader.engine.members
        options: list[MemberChange | None] = [None]
        for member in self._present(members):
            old = _namesake(members, member)
            if old is not None:
                options += [MemberChange("replace", member, old)] * 4
            elif len(members.all) < bounds.members_max:
                options += [MemberChange("add", member)] * 3
        for learner in sorted(members.learners):
            options.append(MemberChange("remove", learner))
            if len(members.voters) < bounds.voters_max:
                options += [MemberChange("promote", learner)] * 5
        if len(members.voters) > bounds.voters_min:
            options += [MemberChange("remove", voter) for voter in sorted(members.voters)]
        return [option for option in options if option is None or self.bearable(members, option)]

    def _present(self, members: Members) -> list[str]:
        """Processes that run and are no members, by id."""
        return [
            host.media.member
            for host in self.cluster.hosts.values()
            if host.up
            and host.engine is not None
            and not host.media.copied
            and host.media.member is not None
            and host.media.member not in members.all
        ]

    def bearable(self, members: Members, change: MemberChange) -> bool:
        """Whether a majority of the voters after the change has its disks: an operator who knows better breaks it."""
        voters = set(members.voters)
        if change.kind == "promote":
            voters.add(change.member)
        voters -= {change.member} if change.kind == "remove" else {change.old}
        return 2 * len(voters - self.cluster.lost()) > len(voters)

    # -- asking --------------------------------------------------------------------------------------------------------
    def ask(self, leader: "Host", change: MemberChange, attempt: int = 1) -> None:
        """Have a leader change the members."""
        self.cluster.log(leader.name, f"is asked to {describe(change)}")
        if leader.engine is not None and not leader.engine.settled:
            self._wait(leader.life)
        self._ask(leader, lambda node: self._change(node, change, attempt))

    def _wish(self, dice: Stream, change: MemberChange) -> None:
        """Have the registry of some member see to it."""
        doors = [host for host in self.cluster.hosts.values() if host.up and host.name in self.cluster.doors]
        host = dice.choice(doors)
        if host.registry is None or host.node is None:
            return
        self.cluster.log(host.name, f"is asked to have somebody {describe(change)}")
        wish = Wish(change.kind, change.old or change.member, change.member if change.old else "", force=True)
        number = self._wait(self.loop.world)
        self.loop.soon(host.life, self._begin_wish, host.node, host.registry.membership, wish, number)

    def _begin_wish(self, node: RaftNode, membership: Membership, wish: Wish, number: int) -> None:
        self.loop.spawn(self._carry_out(node, membership, wish, number))

    async def _carry_out(self, node: RaftNode, membership: Membership, wish: Wish, number: int) -> None:
        try:
            changed = await membership.change(wish)
        except Refused as error:
            self._note(node, wish.kind, f"refused by the registry: {error}")
        except (NotApplied, OutcomeUnknown) as error:
            self._note(node, wish.kind, f"{type(error).__name__} of the registry")
            if isinstance(error, OutcomeUnknown):
                return  # Some leader may be at it still.
        else:
            self._note(node, wish.kind, "done by the registry" if changed.done else "done already")
        self._waiting.pop(number, None)

    def _ask(self, leader: "Host", work: Callable[[RaftNode], object]) -> None:
        if leader.up and leader.node is not None:
            self.loop.soon(leader.life, self._begin, work, leader.node)

    def _begin(self, work: Callable[[RaftNode], object], node: RaftNode) -> None:
        self.loop.spawn(work(node))

    async def _change(self, node: RaftNode, change: MemberChange, attempt: int) -> None:
        try:
            await node.change_members(change)
        except HandingOver:
            self._note(node, change.kind, "handing over")
            if attempt < ATTEMPTS:
                when = self.loop.now + REPEAT_S
                self.loop.at(when, self.loop.world, self._again, change, attempt + 1)
        except Refused as error:
            self._note(node, change.kind, f"refused: {error}")
        except (NotApplied, OutcomeUnknown) as error:
            self._note(node, change.kind, type(error).__name__)
        else:
            self._note(node, change.kind, "done")

    def _again(self, change: MemberChange, attempt: int) -> None:
        leader = self.cluster.leader()
        engine = self.cluster.hosts[leader].engine if leader is not None else None
        if leader is not None and engine is not None and self.bearable(engine.members, change):
            self.ask(self.cluster.hosts[leader], change, attempt)

    async def _transfer(self, node: RaftNode) -> None:
        try:
            await node.transfer_leadership()
        except (NotApplied, OutcomeUnknown, Refused) as error:
            self._note(node, "transfer", type(error).__name__)
        else:
            self._note(node, "transfer", "done")

    def _note(self, node: RaftNode, kind: str, answer: str) -> None:
        self.told[f"{kind} {answer}"] += 1
        self.cluster.log(node.settings.name, f"answers to {kind}: {answer}")

    # -- in the end ----------------------------------------------------------------------------------------------------
    def heal(self) -> None:
        """From now on bring the members in order: nobody whose disk is lost, no learner that could vote."""
        leader = self.cluster.leader()
        change = self._mend(self.cluster.hosts[leader]) if leader is not None else None
        if leader is not None and change is not None and _can_be_asked(self.cluster.hosts[leader], change):
            self.ask(self.cluster.hosts[leader], change)
        if self.cluster.busy:
            pause = HEALING_EVERY_S * self.cluster.profile.timing
            self.loop.at(self.loop.now + pause, self.loop.world, self.heal)

    def _mend(self, leader: "Host") -> MemberChange | None:
        """What is to be done next."""
        assert leader.engine is not None
        members, present = leader.engine.members, self._present(leader.engine.members)
        for old in sorted(members.all & self.cluster.lost()):
            heirs = [member for member in present if name_of(member) == name_of(old)]
            return MemberChange("replace", heirs[0], old) if heirs else MemberChange("remove", old)
        bounds = self.cluster.profile.membership
        assert bounds is not None
        if len(members.voters) < bounds.voters_max:
            for learner in sorted(members.learners):
                return MemberChange("promote", learner)
        if len(members.all) < bounds.wanted:
            for member in present:
                if member in _strangers_of(leader):
                    return MemberChange("add", member)
        return None

    def done(self) -> bool:
        """Whether the members are in order, and known to be committed."""
        leader = self.cluster.leader()
        engine = self.cluster.hosts[leader].engine if leader is not None else None
        if leader is None or engine is None or engine.members != self.cluster.member_checks.newest:
            return False
        return self._mend(self.cluster.hosts[leader]) is None


def _strangers_of(leader: "Host") -> set[str]:
    """The ids of those that wait, as the leader sees it."""
    return {stranger.id for stranger in leader.node.status().strangers} if leader.node is not None else set()


def _can_be_asked(leader: "Host", change: MemberChange) -> bool:
    """Whether a registry would ask that of the leader: it adds nobody whom the leader has not met.

    Nobody else could tell the members where that one is reached, and it may know none of them.
    """
    return change.kind in ("promote", "remove") or change.member in _strangers_of(leader)


def _namesake(members: Members, member: str) -> str | None:
    """The member whose name a stranger has."""
    return next((old for old in sorted(members.all) if name_of(old) == name_of(member)), None)


def describe(change: MemberChange) -> str:
    """For people."""
    instead = f" in the place of {change.old[:8]}" if change.old else ""
    return f"{change.kind} {change.member[:8]}{instead}"
