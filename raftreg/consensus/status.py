"""What a node tells about itself and its peers."""

from typing import TYPE_CHECKING

from raftreg import versions
from raftreg.addresses import Address
from raftreg.clock import Clock
from raftreg.consensus import PeerStatus, Role, Status
from raftreg.consensus.addressbook import AddressBook
from raftreg.consensus.members import name_of

if TYPE_CHECKING:
    from raftreg.consensus.circle import Circle
    from raftreg.consensus.engine import Engine
    from raftreg.consensus.machinery import Wires
    from raftreg.consensus.settings import RaftSettings

_ROLES: tuple[Role, ...] = ("follower", "candidate", "leader")  # pysyncobj's numbers 0, 1, 2


def starting_status(settings: "RaftSettings", member_id: str, too_old: str) -> Status:
    """The view of a node that has no cluster yet."""
    peers = tuple(
        PeerStatus("", name, str(Address(*address)), True, False, None)
        for name, address in sorted(settings.peers.items())
    )
    return Status(
        id=member_id,
        name=settings.name,
        role="starting",
        term=0,
        leader_id=None,
        leader_name=None,
        leader_address=None,
        commit_index=0,
        applied_index=0,
        last_index=0,
        durable_index=0,
        snapshot_index=0,
        cluster_id="",
        leader_contact_s=0.0,
        peers=peers,
        too_old=too_old,
    )


def _contact_s(engine: "Engine", now: float) -> float:
    return 0.0 if engine.leading else now - engine.election.leader_contact


def known_leader(engine: "Engine", settings: "RaftSettings", now: float) -> str | None:
    """Member id of the leader, None if there is none.

    One that was silent for longer than it takes to elect another may still lead, but nobody knows.
    """
    return engine.leader if _contact_s(engine, now) <= 2 * settings.election_timeout_max_s else None


def status_of(
    circle: "Circle", wires: "Wires", settings: "RaftSettings", book: AddressBook, clock: Clock, too_old: str
) -> Status:
    """The view of a node that has a cluster. One that is no member shows the members that it was told of.

    `too_old`: what a peer said that refused this node for its release.
    """
    engine, now = circle.driver.engine, clock.now()
    leader = known_leader(engine, settings, now)
    return Status(
        id=engine.member_id,
        name=settings.name,
        role="leader" if engine.leading else _ROLES[engine.role_number],
        term=engine.raftCurrentTerm,
        leader_id=leader,
        leader_name=None if leader is None else name_of(leader),
        leader_address=None if leader is None else book.text(leader),
        commit_index=engine.raftCommitIndex,
        applied_index=engine.raftLastApplied,
        last_index=engine.journal.last,
        durable_index=engine.journal.durable,
        snapshot_index=engine.serializer.durable_index,
        cluster_id=engine.members.cluster_id,
        leader_contact_s=_contact_s(engine, now),
        peers=_peers(circle, wires, book, now),
        members_index=engine.journal.placed.index,
        members_committed=engine.journal.placed.index <= engine.raftCommitIndex,
        removed=circle.removed,
        strangers=circle.strangers(),
        former=frozenset(map(name_of, engine.journal.former)),
        level=engine.machine.level(),
        too_old=engine.newer.text or too_old,
    )


def _peers(circle: "Circle", wires: "Wires", book: AddressBook, now: float) -> tuple[PeerStatus, ...]:
    engine, members, found = circle.driver.engine, circle.shown, []
    own = (versions.LEVEL_MIN, versions.LEVEL_MAX)
    for member in sorted(members.all):
        me = member == engine.member_id
        heard = now if me else wires.last_heard(member)
        found.append(
            PeerStatus(
                id=member,
                name=name_of(member),
                address=book.text(member),
                voter=member in members.voters,
                connected=me or member in engine.guard.up,
                last_contact_s=None if heard is None else max(0.0, now - heard),
                match_index=engine.match_index(member),
                caught_up=(me or engine.catch_up.done(member)) if engine.leading else None,
                standby=member in members.standbys,
                levels=own if me else circle.levels_of(member),
            )
        )
    return tuple(found)
