"""Changes of the members and of leadership: asked for at any node, carried out by whoever leads.

A wish is resolved to ids first, by the leader, and then carried out by ids, so that it may be tried again at the next
leader: a step that has happened is found to be so. That is the answer to a leader that had to hand over first (its own
removal), and to one that died before it could tell.
"""

import asyncio
from dataclasses import dataclass
from typing import Any, Final, cast

from raftreg.consensus import Consensus, MemberChange, PeerStatus, Status, StrangerStatus
from raftreg.consensus.members import name_of
from raftreg.errors import NotLeader, Refused
from raftreg.registry.member_advice import warnings_on
from raftreg.registry.member_names import NobodyWaits, Wish, is_standby, resolve, voter_called
from raftreg.registry.messages import Messenger
from raftreg.registry.standing import standing_outside

_RESOLVE: Final = "members-resolve"
_CHANGE: Final = "members-change"
_HEIR: Final = "leader-resolve"
_TRANSFER: Final = "leader-transfer"
_VIEW: Final = "members-view"
_SETTLE_S: Final = 2.0  # for how long a step waits for the one before it
# For a node that is to come, but for no more than half of the time that a change has.
_PATIENCE_S: Final = 5.0
_LOOK_S: Final = 0.02
_NOTICE_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Changed:
    """What came of a wish. `done`: False if it was so already. `old` went (replace). `standby`: `member` stays one."""

    kind: str
    member: str
    old: str
    done: bool
    warnings: tuple[str, ...]
    standby: bool = False


@dataclass(frozen=True, slots=True)
class MembersView:
    """The members as their leader sees them."""

    status: Status  # of the leader, with what nobody else knows of the others
    warnings: tuple[str, ...]


class Membership:
    """The one door for changes of the members. For the event loop's thread only."""

    def __init__(self, consensus: Consensus, messenger: Messenger, timeout_s: float) -> None:
        """`timeout_s`: that of the messenger, for each of the two steps."""
        self._consensus = consensus
        self._patience_s = min(_PATIENCE_S, timeout_s / 2)
        self._messenger = messenger
        for kind, handler in (
            (_RESOLVE, self._on_resolve),
            (_CHANGE, self._on_change),
            (_HEIR, self._on_heir),
            (_TRANSFER, self._on_transfer),
        ):
            messenger.on_call(kind, handler, slow=True)
        messenger.on_call(_VIEW, self._on_view)

    # -- on any node -----------------------------------------------------------------------------------------------
    async def change(self, wish: Wish) -> Changed:
        """Carry a wish out; returns once the member set is committed, also if it was so already.

        Raises Refused (400, 404, 409: nothing was done, the text says why and what to do), NoLeader (nothing was
        done) or OutcomeUnknown within twice the write timeout.
        """
        self._check_inside()
        asked = [wish.kind, wish.which, wish.by, wish.standby, wish.force]
        kind, member, old, standby = _fields(await self._messenger.tell(_RESOLVE, asked), 4)
        step = MemberChange(kind, str(member), str(old), bool(standby))
        done, warnings = await self._carry_out(step)
        return Changed(step.kind, step.member, step.old, done, warnings, step.standby)

    async def _carry_out(self, step: MemberChange) -> tuple[bool, tuple[str, ...]]:
        """Whether it was done only now, and warnings.

        Who is out is spoken to no more, so what the leader answers to a node that removed itself may be lost: then the
        notice of its removal tells.
        """
        own = self._consensus.status().id
        told = asyncio.ensure_future(
            self._messenger.tell(_CHANGE, [step.kind, step.member, step.old, step.standby])
        )
        try:
            while own in (step.old, step.member) and step.kind in ("remove", "replace") and not told.done():
                await asyncio.wait([told], timeout=_NOTICE_S)
                if self._is_out(own):
                    return True, ()
            done, warnings = _fields(await told, 2)
        finally:
            told.cancel()
        return bool(done), tuple(map(str, warnings))

    async def leave(self) -> None:
        """Remove this node; returns once it is no member. Raises as `change`. One that is no member has left."""
        own = self._consensus.status().id
        if not self._is_out(own):
            await self.change(Wish("remove", own))

    def _is_out(self, own: str) -> bool:
        status = self._consensus.status()
        return status.removed or (status.members_committed and all(peer.id != own for peer in status.peers))

    async def transfer(self, to: str = "") -> str:
        """Have another voter lead, `to` or the most advanced; the name of the new leader. Raises as `change`."""
        self._check_inside()
        step = await self._messenger.tell(_HEIR, to)
        return name_of(str(await self._messenger.tell(_TRANSFER, _fields(step, 2))))

    async def view(self) -> MembersView:
        """The leader's view: who is in, who waits, who lags. Raises NoLeader."""
        self._check_inside()
        status, warnings = _fields(await self._messenger.tell(_VIEW, None), 2)
        return MembersView(_unpacked(status), tuple(map(str, warnings)))

    def _check_inside(self) -> None:
        """Refused if this node has nobody to ask: who is no member knows of no leader."""
        status = self._consensus.status()
        outside = standing_outside(status)
        if status.role == "starting":
            outside = "this node has no cluster yet"
        if outside is not None:
            names = ", ".join(sorted(peer.name for peer in status.peers if peer.name != status.name))
            where = f" ({names})" if names else ""
            raise Refused(409, f"{outside}; ask a node that is a member{where}")

    # -- on the leader ---------------------------------------------------------------------------------------------
    def _leading(self) -> Status:
        status = self._consensus.status()
        if status.role != "leader":
            raise NotLeader("this node does not lead")
        return status

    async def _on_resolve(self, caller: str, payload: object) -> object:
        kind, which, by, standby, force = _fields(payload, 5)
        self._leading()
        await self._consensus.read_index(confirm=True)
        step = await self._step(
            Wish(kind, str(which), str(by), None if standby is None else bool(standby), bool(force))
        )
        return [step.kind, step.member, step.old, step.standby]

    async def _step(self, wish: Wish) -> MemberChange:
        """What is meant. A node that was just started is waited for: it may be about to connect."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._patience_s
        while True:
            try:
                return resolve(self._leading(), wish)
            except NobodyWaits:
                if loop.time() >= end:
                    raise
            await asyncio.sleep(_LOOK_S)

    async def _on_change(self, caller: str, payload: object) -> object:
        kind, member, old, standby = _fields(payload, 4)
        step = MemberChange(kind, str(member), str(old), bool(standby))
        self._leading()
        await self._consensus.read_index(confirm=True)
        await self._settled()
        status = self._leading()
        if status.members_committed and is_done(status, step):
            return [False, []]  # Before that it may be taken back yet, and another change is refused.
        await self._consensus.change_members(step)
        return [True, self._warnings() if kind in ("promote", "remove") else []]

    async def _settled(self) -> None:
        """Wait for the member set before this one to be committed; who carries the next step out refuses it else."""
        loop = asyncio.get_running_loop()
        end = loop.time() + _SETTLE_S
        while True:
            if self._leading().members_committed or loop.time() >= end:
                return
            await asyncio.sleep(_LOOK_S)

    async def _on_heir(self, caller: str, payload: object) -> object:
        status = self._leading()
        await self._consensus.read_index(confirm=True)
        return [status.id, voter_called(status, str(payload)) if payload else ""]

    async def _on_transfer(self, caller: str, payload: object) -> object:
        """[id of who led when it was asked for, id of the heir or ""] -> id of who leads now."""
        before, heir = map(str, _fields(payload, 2))
        status = self._leading()
        if heir == status.id or (not heir and before != status.id):
            return status.id  # It has happened; this is another attempt at the same.
        return await self._consensus.transfer_leadership(heir or None)

    async def _on_view(self, caller: str, payload: object) -> object:
        return [_packed(self._leading()), self._warnings()]

    def _warnings(self) -> list[str]:
        return warnings_on(self._consensus.status())


def is_done(status: Status, step: MemberChange) -> bool:
    """Whether a step has happened, seen by the members there are."""
    members = {peer.id: peer for peer in status.peers}
    match step.kind:
        case "add":
            return step.member in members and is_standby(members[step.member]) == step.standby
        case "promote":
            return step.member in members and members[step.member].voter
        case "remove":
            return step.member not in members
        case "replace":
            return step.member in members and step.old not in members


def _fields(value: object, count: int) -> list[Any]:
    if not isinstance(value, list | tuple) or len(value) != count:
        raise Refused(500, "a message about the members is malformed: do all nodes run the same raftreg?")
    return list(value)


_PEER: Final = (
    "id",
    "name",
    "address",
    "voter",
    "connected",
    "last_contact_s",
    "match_index",
    "caught_up",
    "standby",
)
_STRANGER: Final = ("id", "name", "address", "connected_s")
_STATUS: Final = (
    *("id", "name", "role", "term", "leader_id", "leader_name", "leader_address", "commit_index", "applied_index"),
    *("last_index", "durable_index", "snapshot_index", "cluster_id", "leader_contact_s", "members_index"),
    *("members_committed", "removed"),
)  # fmt: skip


def _packed(status: Status) -> dict[str, object]:
    """A status as it travels; fields go by name, so that a newer node may tell more."""
    return {name: getattr(status, name) for name in _STATUS} | {
        "peers": [{name: getattr(peer, name) for name in _PEER} for peer in status.peers],
        "strangers": [{name: getattr(node, name) for name in _STRANGER} for node in status.strangers],
    }


def _unpacked(value: object) -> Status:
    try:
        fields = cast("dict[str, Any]", value)
        return Status(
            **{name: fields[name] for name in _STATUS},
            peers=tuple(PeerStatus(**{name: row[name] for name in _PEER}) for row in fields["peers"]),
            strangers=tuple(
                StrangerStatus(**{name: row[name] for name in _STRANGER}) for row in fields["strangers"]
            ),
        )
    except (KeyError, TypeError):
        raise Refused(
            500, "the leader's view of the members is malformed: do all nodes run the same raftreg?"
        ) from None
