"""What the leader does about its members by itself: it promotes, replaces what was wiped, and cleans up the dead.

    promotion   a learner that is no standby, connected and caught up for the stabilisation time becomes a voter; for
                3 s where the voters are even in number, as after a replacement: there one more is wanted at once
    rejoin      (only if set to auto) a member that was silent for 30 s, and whose name a connected process with an
                empty data directory has, is replaced by that; one at a time, never while another voter is silent
    cleanup     (only if CleanupDeadServers is set) a member that was silent for 30 s is removed, if three voters (and
                MinQuorum) stay, and the dead are no more than a minority

One step at a time: the next is looked for when the one before it is committed. Whether a step is safe is for consensus
to say; what it refuses is tried again later.
"""

import logging
from collections.abc import Sequence
from typing import Final

from raftreg.errors import Refused
from raftreg.model import Autopilot
from raftreg.registry import (
    MemberChange,
    PeerStatus,
    Registry,
    Status,
    StrangerStatus,
    advice_on_stranger,
    is_back,
    is_silent,
)
from raftreg.state import Topic
from raftreg.state.cluster_queries import AutopilotConfig

log = logging.getLogger(__name__)

DEAD_S: Final = 30.0  # a member that was silent for so long is taken for lost for good
LAPSE_S: Final = 2.0  # a learner that falls back for no longer keeps the time for which it kept up
URGENT_S: Final = (
    3.0  # instead of the stabilisation time, if that is longer, where the voters are even in number
)
STAYS_S: Final = 5.0  # a stranger that was connected for so long is taken to stay
VOTERS_MIN: Final = 3  # never cleaned up below
_LOOK_S: Final = 0.5
_IDLE_S: Final = 5.0
_REFUSED_S: Final = 5.0  # until a step that was refused is tried again


class Watch:
    """Since when each member is silent, and since when each learner keeps up: by the leader's own clock.

    A new leader has heard nobody yet: silences begin with it, but for those whose connections it lost before. A learner
    that falls back for a moment, as on a busy machine, keeps its time.
    """

    def __init__(self, began: float) -> None:
        self._began = began
        self._kept_up: dict[str, tuple[float, float]] = {}  # since when, and when it was last seen to

    def look(self, status: Status, now: float) -> None:
        """Take note of how the members are now."""
        for peer in status.peers:
            if peer.connected and peer.caught_up and not is_silent(peer, status):
                since, _ = self._kept_up.get(peer.id, (now, now))
                self._kept_up[peer.id] = since, now
        members = {peer.id for peer in status.peers}
        self._kept_up = {
            member: (since, seen)
            for member, (since, seen) in self._kept_up.items()
            if member in members and now - seen <= LAPSE_S
        }

    def silent_s(self, peer: PeerStatus, now: float) -> float:
        """Seconds for which a member was silent, as far as this leader can tell.

        While connected, members say nothing to one that does not lead. But whose connection is gone was silent since.
        """
        led_s = now - self._began
        if peer.last_contact_s is None:
            return led_s
        return min(peer.last_contact_s, led_s) if peer.connected else peer.last_contact_s

    def kept_up_s(self, peer: PeerStatus, now: float) -> float:
        """Seconds for which a learner has kept up; 0 if it does not."""
        return now - self._kept_up.get(peer.id, (now, now))[0]


def next_step(
    status: Status, settings: Autopilot, watch: Watch, now: float, *, rejoin: bool
) -> MemberChange | None:
    """The next step of the member set, None if there is nothing to do. Pure."""
    if not status.members_committed:
        return None
    dead = [peer for peer in status.peers if _is_dead(peer, status, watch, now)]
    step = _rejoin(status, dead) if rejoin else None
    return step or _promotion(status, settings, watch, now) or _cleanup(status, settings, dead)


def _is_dead(peer: PeerStatus, status: Status, watch: Watch, now: float) -> bool:
    return peer.id != status.id and watch.silent_s(peer, now) >= DEAD_S


def _rejoin(status: Status, dead: Sequence[PeerStatus]) -> MemberChange | None:
    """A member that was wiped comes back as another: replace the one by the other."""
    for old in dead:
        others = [peer for peer in status.peers if peer.id != old.id]
        if any(peer.voter and is_silent(peer, status) for peer in others):
            continue
        if any(not peer.voter and not peer.standby and not is_silent(peer, status) for peer in others):
            continue  # Somebody is catching up already.
        for stranger in status.strangers:
            if _comes_for(stranger, old):
                return MemberChange("replace", stranger.id, old.id, not old.voter and old.standby)
    return None


def _comes_for(stranger: StrangerStatus, old: PeerStatus) -> bool:
    return stranger.name.lower() == old.name.lower() and stranger.connected_s >= STAYS_S


def _promotion(status: Status, settings: Autopilot, watch: Watch, now: float) -> MemberChange | None:
    needed_s = settings.server_stabilization_ns / 1e9
    if sum(peer.voter for peer in status.peers) % 2 == 0:
        needed_s = min(needed_s, URGENT_S)
    for peer in status.peers:
        if peer.voter or peer.standby or not peer.caught_up:
            continue
        if watch.kept_up_s(peer, now) >= needed_s:
            return MemberChange("promote", peer.id)
    return None


def _cleanup(status: Status, settings: Autopilot, dead: Sequence[PeerStatus]) -> MemberChange | None:
    if not settings.cleanup_dead_servers:
        return None
    for peer in dead:
        if not peer.voter:
            return MemberChange("remove", peer.id)
    voters = sum(peer.voter for peer in status.peers)
    few_are_dead = len(dead) <= (voters - 1) // 2
    if dead and few_are_dead and voters - 1 >= max(VOTERS_MIN, settings.min_quorum):
        return MemberChange("remove", dead[0].id)
    return None


class AutopilotDuty:
    """Looks at the members while this node leads, and takes the next step."""

    name = "autopilot"

    def __init__(self, registry: Registry, *, rejoin: bool = False) -> None:
        """`rejoin`: replace members that were wiped without being told to."""
        self._registry = registry
        self._rejoin = rejoin
        self._watch: Watch | None = None
        self._refused = ""
        self._told: set[str] = set()

    def on_topics(self, topics: Sequence[Topic]) -> None:
        """Nothing in the state wakes this duty."""

    async def step(self) -> float:
        """Look, and take one step if there is one to take."""
        status = self._registry.consensus.status()
        if status.role != "leader":
            self._watch = None
            return _IDLE_S
        now = self._registry.clock.now()
        if self._watch is None:
            self._watch = Watch(now)
        self._watch.look(status, now)
        self._tell_of_strangers(status)
        settings = self._registry.local(AutopilotConfig()).value
        step = next_step(status, settings, self._watch, now, rejoin=self._rejoin)
        if step is None:
            # With nobody who waits, lags or is silent there is nothing that could change soon.
            busy = status.strangers or any(not peer.voter or is_silent(peer, status) for peer in status.peers)
            return _LOOK_S if busy else 2 * _LOOK_S
        return await self._take(step)

    async def _take(self, step: MemberChange) -> float:
        what = f"{step.kind} {step.old + ' by ' if step.old else ''}{step.member}"
        try:
            await self._registry.consensus.change_members(step)
        except Refused as refused:
            if refused.text != self._refused:
                log.warning("autopilot: %s was refused: %s", what, refused.text)
            self._refused = refused.text
            return _REFUSED_S
        self._refused = ""
        log.info("autopilot: %s", what)
        return 0.0

    def _tell_of_strangers(self, status: Status) -> None:
        """Log once what to do about each node that waits."""
        waiting = {node.id for node in status.strangers}
        self._told &= waiting
        for node in status.strangers:
            if node.id in self._told:
                continue
            self._told.add(node.id)
            back = is_back(status, node)
            if back and self._rejoin:
                log.info(
                    "%s is back with an empty data directory: it comes in for its former self soon", node.name
                )
            else:
                log.log(logging.WARNING if back else logging.INFO, "%s", advice_on_stranger(status, node))
