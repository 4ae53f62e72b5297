"""What an operator calls a member, and which step of the member set is meant. Pure, on the leader's view.

A member or stranger goes by its name, its id (name.incarnation), its UUID (the incarnation with hyphens, as Consul's
API shows it), or its Raft address. Names are compared without regard to case, as everywhere.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from raftreg.consensus import ChangeKind, MemberChange, PeerStatus, Status, StrangerStatus
from raftreg.consensus.members import goes_by, same_name
from raftreg.errors import Refused

SILENT_S = 1.0  # a member that was not heard for longer is taken for dead when changes are weighed
_START_IT = "start it with an empty data directory and --join ADDRESS-OF-A-MEMBER"


class NobodyWaits(Refused):
    """The node that is to come is not connected, or not yet. Its status is 404."""

    def __init__(self, text: str) -> None:
        super().__init__(404, text)


Known = PeerStatus | StrangerStatus
K = TypeVar("K", PeerStatus, StrangerStatus)


@dataclass(frozen=True, slots=True)
class Wish:
    """A change of the members as it was asked for. `which` and `by` are what operators call nodes.

    replace: `which` goes and `by` comes; without `by` the node that waits under the same name. `standby`: whether it
    is to stay a learner; if nothing is said, who is added is not, and who replaces a standby is. `force`: also if the
    cluster would not survive the loss of another node then.
    """

    kind: ChangeKind
    which: str
    by: str = ""
    standby: bool | None = None
    force: bool = False


def is_called(node: Known, which: str) -> bool:
    """Whether an operator may call a node that."""
    return goes_by(which, node.id, node.name, node.address)


def is_silent(peer: PeerStatus, status: Status) -> bool:
    """Whether a member is taken for dead, by what the leader last heard of it."""
    if peer.id == status.id:
        return False
    return peer.last_contact_s is None or peer.last_contact_s > SILENT_S


def is_standby(peer: PeerStatus) -> bool:
    """Whether a member is to stay a learner."""
    return peer.standby and not peer.voter


def is_namesake(status: Status, peer: PeerStatus, stranger: StrangerStatus) -> bool:
    """Whether a node that waits bears the name of a member that is alive, and so is not what that was before."""
    return peer.connected and not is_silent(peer, status) and same_name(peer.name, stranger.name)


def second_process(stranger: StrangerStatus) -> str:
    """What to do about the namesake of a member that is alive."""
    where = f" at {stranger.address}" if stranger.address else ""
    return f"{stranger.id}{where} is a second process with its name. Stop it, or start it with another --node"


def resolve(status: Status, wish: Wish) -> MemberChange:
    """The step that is meant, by ids. Refused (400, 404, 409) with what there is and what to do.

    What is so already (add of a member, promote of a voter) is a step all the same: who carries it out finds that out.
    An add of a member has the role that it has, which an add does not change.
    """
    if not wish.which:
        raise Refused(400, "which node? Give its name, id or Raft address")
    members = [peer for peer in status.peers if is_called(peer, wish.which)]
    strangers = [node for node in status.strangers if is_called(node, wish.which)]
    match wish.kind:
        case "add":
            return _add(status, wish, members, strangers)
        case "promote":
            _refuse_strangers(wish, members, strangers, "it is no member yet: add it first")
            return MemberChange("promote", _only(status, wish.which, members).id)
        case "remove":
            _refuse_strangers(wish, members, strangers, "it is no member: stop it, and that is all")
            peer = _only(status, wish.which, members)
            if not wish.force:
                _check_removal(status, peer)
            return MemberChange("remove", peer.id)
        case "replace":
            old = _only(status, wish.which, members)
            if not wish.force:
                _check_removal(status, old)
            standby = is_standby(old) if wish.standby is None else wish.standby
            return MemberChange("replace", _substitute(status, old, wish.by).id, old.id, standby)


def voter_called(status: Status, which: str) -> str:
    """The id of the voter that is meant. Refused if there is none of that name."""
    peer = _only(status, which, [peer for peer in status.peers if is_called(peer, which)])
    if not peer.voter:
        raise Refused(409, f"{peer.name} is a learner and cannot lead: promote it first")
    return peer.id


def _add(
    status: Status, wish: Wish, members: Sequence[PeerStatus], strangers: Sequence[StrangerStatus]
) -> MemberChange:
    if not strangers and members:
        peer = _only(status, wish.which, members)
        if wish.standby and not is_standby(peer):
            role = "a voter" if peer.voter else "a learner that will vote"
            raise Refused(409, f"{peer.name} is {role}: remove it, then add it with --standby")
        return MemberChange("add", peer.id, standby=is_standby(peer))
    if not strangers:
        raise NobodyWaits(f'no node "{wish.which}" waits to be added ({_waiting(status)}): {_START_IT}')
    stranger = _one(wish.which, strangers)
    namesakes = [peer for peer in status.peers if peer.name.lower() == stranger.name.lower()]
    if namesakes:
        raise Refused(
            409,
            f"{stranger.name} is a member already, with another data directory ({namesakes[0].id}): if that is lost, "
            f"replace it: raftreg operator raft replace {stranger.name}",
        )
    return MemberChange("add", stranger.id, standby=bool(wish.standby))


def _substitute(status: Status, old: PeerStatus, by: str) -> Known:
    """Who comes for a member that goes."""
    named = by or old.name
    strangers = [node for node in status.strangers if is_called(node, named)]
    if strangers:
        stranger = _one(named, strangers)
        if is_namesake(status, old, stranger):
            raise Refused(
                409, f"{old.name} is alive, so nobody of its name comes for it: {second_process(stranger)}"
            )
        others = [peer for peer in status.peers if same_name(peer.name, stranger.name) and peer.id != old.id]
        if others:
            raise Refused(
                409,
                f"{stranger.id} has the name of another member, {others[0].id}: replace that one by it, or start it "
                "with another --node",
            )
        return stranger
    present = [peer for peer in status.peers if is_called(peer, named) and peer.id != old.id]
    if present:
        raise Refused(409, f"{present[0].name} is a member already: once it is a voter, remove {old.name}")
    hint = "" if by else f", or name another that waits: replace {old.name} NEW"
    raise NobodyWaits(
        f'no node "{named}" waits to come for {old.name} ({_waiting(status)}): {_START_IT}{hint}'
    )


def _check_removal(status: Status, peer: PeerStatus) -> None:
    """Refuse to take a living voter away while another is dead: one more loss could stop the cluster."""
    if not peer.voter or is_silent(peer, status):
        return
    dead = [other.name for other in status.peers if other.voter and is_silent(other, status)]
    if dead:
        raise Refused(
            409,
            f"{peer.name} is alive and {', '.join(dead)} is not: remove or replace {dead[0]} first "
            f"(with force {peer.name} goes all the same, and one more loss may stop the cluster)",
        )


def _refuse_strangers(
    wish: Wish, members: Sequence[PeerStatus], strangers: Sequence[StrangerStatus], text: str
) -> None:
    if strangers and not members:
        raise Refused(404, f"cannot {wish.kind} {strangers[0].name}: {text}")


def _only(status: Status, which: str, found: Sequence[PeerStatus]) -> PeerStatus:
    if not found:
        names = ", ".join(_names(status.peers))
        raise Refused(404, f'no member "{which}"; members are {names}')
    return _one(which, found)


def _one(which: str, found: Sequence[K]) -> K:
    if len(found) > 1:
        ids = ", ".join(node.id for node in found)
        raise Refused(409, f'"{which}" may mean {ids}: give the id')
    return found[0]


def _waiting(status: Status) -> str:
    names = _names(status.strangers)
    return f"waiting are {', '.join(names)}" if names else "none waits"


def _names(nodes: Iterable[Known]) -> list[str]:
    return sorted({node.name for node in nodes})
