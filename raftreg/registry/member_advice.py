"""What operators should know of a member set, and what they may have to do. Pure, on a node's view."""

from raftreg import versions
from raftreg.consensus import PeerStatus, Status, StrangerStatus
from raftreg.consensus.boot import what_to_run
from raftreg.consensus.members import same_name
from raftreg.registry.member_names import is_namesake, is_silent, second_process
from raftreg.registry.standing import standing_outside


def warnings_about(voters: int) -> list[str]:
    """What is wrong with that many voters, in a sentence each; nothing about odd numbers of three and more."""
    if voters == 1:
        return ["one voter: its loss stops the cluster"]
    if voters == 2:
        return ["2 voters: every write needs both, so the loss of one stops the cluster: add a third"]
    if voters % 2 == 0:
        tolerated = (voters - 1) // 2
        return [
            f"{voters} voters survive the loss of {tolerated}, as {voters - 1} do, and each write needs one more: "
            "add or remove one"
        ]
    return []


def warnings_on(status: Status) -> list[str]:
    """What is wrong with the voters that a node knows of.

    Nothing from one that is no member, has no cluster yet, or keeps its cluster in memory, where nothing is to last.
    """
    voters = sum(peer.voter for peer in status.peers)
    if not voters or not status.cluster_id or status.role == "starting" or standing_outside(status):
        return []
    return warnings_about(voters)


def levels_of(status: Status) -> tuple[int, tuple[str, ...]]:
    """(the feature level that every member knows, why it is no higher: who is not there, or is of an older release)."""
    missing = tuple(f"{peer.name} is not connected" for peer in status.peers if peer.levels is None)
    known = [peer.levels[1] for peer in status.peers if peer.levels is not None]
    if missing or not known:
        return status.level, missing
    common = min(min(known), versions.LEVEL_MAX)
    older = tuple(
        f"{peer.name} knows {peer.levels[1]}"
        for peer in status.peers
        if peer.levels is not None and peer.levels[1] < versions.LEVEL_MAX
    )
    return max(common, status.level), older


def _waits_for_level(status: Status) -> str | None:
    """What keeps the feature level below what this release knows; None in a view that tells no levels."""
    if all(peer.levels is None for peer in status.peers):
        return None
    _, why = levels_of(status)
    if status.level >= versions.LEVEL_MAX or not why:
        return None
    return f"feature level {versions.LEVEL_MAX} waits for all members: {', '.join(why)}"


def advice_on(status: Status) -> list[str]:
    """What waits for an operator, with the command to run, in a sentence each.

    A node that is no member speaks of itself only: what it was told of the others may be old. Without a majority
    nobody can be added or replaced, so no such command is named then.
    """
    outside = standing_outside(status)
    if outside:
        return [line for line in (status.too_old, outside) if line]
    no_majority = _on_majority(status)
    lines = [line for line in (status.too_old, *no_majority, _waits_for_level(status)) if line]
    lines += [
        advice_on_stranger(status, stranger)
        for stranger in status.strangers
        if not no_majority or _living_namesakes(status, stranger)
    ]
    if status.role == "leader":
        back = {stranger.name.lower() for stranger in status.strangers}
        for peer in status.peers:
            if peer.voter and is_silent(peer, status) and peer.name.lower() not in back:
                lines.append(
                    f"{peer.name} is not heard: mend or restart it, or if it is lost for good, start another and "
                    f"raftreg operator raft replace {peer.name} NEW"
                )
    return lines


def is_back(status: Status, stranger: StrangerStatus) -> bool:
    """Whether a node that waits has the name of a member: that one's data directory is lost, then, or was replaced.

    But not while that member is alive.
    """
    return any(
        same_name(peer.name, stranger.name) and not is_namesake(status, peer, stranger)
        for peer in status.peers
    )


def advice_on_stranger(status: Status, stranger: StrangerStatus) -> str:
    """What to do about a node that is connected and no member."""
    alive = _living_namesakes(status, stranger)
    if alive:
        return f"{alive[0].name} is a member and alive, and {second_process(stranger)}"
    why = "is back with an empty data directory" if is_back(status, stranger) else "waits to be added"
    command = what_to_run(stranger.name, stranger.id, [peer.id for peer in status.peers])
    return f"{stranger.name} {why}: {command}"


def _living_namesakes(status: Status, stranger: StrangerStatus) -> list[PeerStatus]:
    return [peer for peer in status.peers if is_namesake(status, peer, stranger)]


def _on_majority(status: Status) -> list[str]:
    """What to do if too few voters are heard for there to be a leader."""
    if status.leader_name is not None or status.role == "starting":
        return []
    voters = [peer for peer in status.peers if peer.voter]
    missing = [peer.name for peer in voters if is_silent(peer, status)]
    needed = len(voters) // 2 + 1
    if len(voters) - len(missing) >= needed:
        return []
    lines = [
        f"no leader, since {', '.join(missing)} of {len(voters)} voters cannot be reached and {needed} are needed: "
        "mend or start them; only if they are lost for good: raftreg recover"
    ]
    waiting = {stranger.name.lower() for stranger in status.strangers}
    back = [name for name in missing if name.lower() in waiting]
    if back:
        lines.append(
            f"back with an empty data directory: {', '.join(back)}: find what was on the former disks and start from "
            "that, or else raftreg recover on a node that has its data"
        )
    return lines
