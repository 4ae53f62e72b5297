"""Locks: clients take turns with sessions, and write under the lock by transactions that check who holds it."""

import asyncio
import base64
import json
from dataclasses import dataclass

from raftreg.checkers.history import Operation
from raftreg.checkers.locks import Guarded, Hold, check
from raftreg.verify.caller import Caller, Reply, World
from raftreg.verify.verdict import Verdict, empty, failed, passed
from raftreg.verify.workloads.workload import Workload

LOCKS = 2
TTL_S = 10.0  # the shortest that Consul allows
RENEW_S = 4.0
HOLD_S = 0.03
PAUSE_S = 0.02


@dataclass(slots=True)
class _Session:
    """`sure_until_s`: until then it cannot have expired."""

    id: str
    sure_until_s: float


class Locks(Workload):
    """Only what is certain counts as held: from the answer to the acquisition until the release is asked for."""

    name = "locks"
    share = 3

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._node = f"{world.prefix.replace('/', '-')}-locks"
        # Bound to no check, and to a node that stays, whoever joins and leaves the cluster: only its end, and its TTL,
        # end a session. No lock-delay hides who gets the lock next.
        shape = {"Node": self._node, "TTL": f"{TTL_S:g}s", "LockDelay": "0s", "NodeChecks": [], "Checks": []}
        self._shape = json.dumps(shape).encode()
        self._sessions: dict[int, _Session] = {}
        self._left: list[str] = []  # sessions that are still to be ended
        self.holds: list[Hold] = []
        self.guarded: list[Guarded] = []
        self.refusals = 0

    async def prepare(self, caller: Caller) -> None:
        """See whether there are sessions."""
        node = json.dumps({"Node": self._node, "Address": "192.0.2.2"}).encode()
        await caller.write("PUT", "/v1/catalog/register", node)
        reply = await caller.write("PUT", "/v1/session/create", self._shape)
        if reply.answer is None or reply.answer.status != 200:
            told = "no answer" if reply.answer is None else str(reply.answer.status)
            self.missing = f"the server makes no sessions ({told})"
        else:
            await caller.write("PUT", f"/v1/session/destroy/{json.loads(reply.answer.body)['ID']}")

    async def step(self, caller: Caller) -> None:
        """Try to get one of the locks, hold it for a moment, give it back."""
        if self._left:
            await self._end(caller, self._left.pop(0))
        session = await self._session(caller)
        if session is None:
            await asyncio.sleep(PAUSE_S)
            return
        lock = f"lock/{caller.chance.randrange(LOCKS)}"
        path = f"{self._path(lock)}?acquire={session.id}"
        reply = await caller.write("PUT", path, session.id.encode())
        if reply.ok is None:
            await self._leave(caller, reply.client, session)
        elif reply.answer is None or reply.answer.text != "true":
            self.refusals += reply.answer is not None
            await asyncio.sleep(PAUSE_S)
        else:
            await self._hold(caller, lock, session, reply.operation("acquire", lock, session.id, True))

    def _path(self, lock: str) -> str:
        return f"/v1/kv/{self.world.prefix}/{lock}"

    async def finish(self, caller: Caller) -> None:
        """End the sessions that are left."""
        for session in [*self._left, *(session.id for session in self._sessions.values())]:
            await caller.write("PUT", f"/v1/session/destroy/{session}")
        self._sessions.clear()

    async def clean(self, caller: Caller) -> None:
        """Deregister the node of the sessions."""
        await caller.write("PUT", "/v1/catalog/deregister", json.dumps({"Node": self._node}).encode())

    async def _session(self, caller: Caller) -> _Session | None:
        """The client's session, made or renewed as needed."""
        session, now = self._sessions.get(caller.number), self.world.clock.now()
        if session is not None and session.sure_until_s - now > TTL_S - RENEW_S:
            return session
        if session is not None:
            reply = await caller.write("PUT", f"/v1/session/renew/{session.id}")
            if reply.answer is not None and reply.answer.status == 200:
                session.sure_until_s = reply.invoked_s + TTL_S
                return session
            await self._leave(caller, reply.client, session)
        reply = await caller.write("PUT", "/v1/session/create", self._shape)
        if reply.answer is None or reply.answer.status != 200:
            return None
        session = _Session(json.loads(reply.answer.body)["ID"], reply.invoked_s + TTL_S)
        self._sessions[caller.number] = session
        return session

    async def _leave(self, caller: Caller, client: int, session: _Session) -> None:
        """End a session of which the client does not know what it holds; if that fails, its TTL will."""
        self._sessions.pop(client, None)
        await self._end(caller, session.id)

    async def _end(self, caller: Caller, session: str) -> None:
        """End a session, now or later: a lock that nobody knows to hold keeps everybody waiting for its TTL."""
        reply = await caller.write("PUT", f"/v1/session/destroy/{session}")
        if reply.ok is not True:
            self._left.append(session)

    async def _hold(self, caller: Caller, lock: str, session: _Session, acquired: Operation) -> None:
        """Write under the lock, then release it, or end the session, which releases it too."""
        client, fence = caller.number, await self._fence(caller, lock, session)
        if fence is not None:
            await self._write(caller, lock, session, fence)
        await asyncio.sleep(caller.chance.random() * HOLD_S)
        if caller.number == client and caller.chance.random() < 0.8:
            path = f"{self._path(lock)}?release={session.id}"
        else:
            path = f"/v1/session/destroy/{session.id}"
            self._sessions.pop(client, None)
        reply = await caller.write("PUT", path)
        if reply.ok is not True:
            await self._leave(caller, client, session)
        # What was refused for certain has released nothing, but the end of the session that follows may.
        until = min(session.sure_until_s, reply.invoked_s)
        released = reply.operation("release", lock, session.id)
        refused = reply.answer is not None and reply.answer.text == "false"
        taken = refused and reply.returned_s < session.sure_until_s
        self.holds.append(Hold(lock, session.id, acquired, until, fence, released, taken))

    async def _fence(self, caller: Caller, lock: str, session: _Session) -> int | None:
        """LockIndex, which grows with each new holder."""
        reply = await caller.read(f"{self._path(lock)}?consistent")
        if reply.answer is None or reply.answer.status != 200:
            return None
        (entry,) = json.loads(reply.answer.body)
        return int(entry["LockIndex"]) if entry.get("Session") == session.id else None

    async def _write(self, caller: Caller, lock: str, session: _Session, fence: int) -> None:
        """A transaction that is allowed only while the session holds the lock."""
        key = f"{self.world.prefix}/{lock}"
        value = base64.b64encode(f"{fence}:{caller.value()}".encode()).decode()
        operations = [
            {"KV": {"Verb": "check-session", "Key": key, "Session": session.id}},
            {"KV": {"Verb": "set", "Key": f"{key}/resource", "Value": value}},
        ]
        reply: Reply = await caller.write("PUT", "/v1/txn", json.dumps(operations).encode())
        if reply.answer is not None and reply.answer.status == 200:
            self.guarded.append(Guarded(lock, session.id, reply.operation("guarded write", lock, session.id)))

    def verdicts(self) -> list[Verdict]:
        """Mutual exclusion and fencing."""
        exclusion, fencing = "locks: mutual exclusion", "locks: fencing tokens"
        sessions = {hold.session for hold in self.holds}
        if self.missing or len(sessions) < 2:
            reason = self.missing or f"{len(sessions)} sessions held a lock: nobody to compare with"
            return [empty(exclusion, reason), empty(fencing, reason)]
        faults = check(self.holds, self.guarded)
        shared = [fault for fault in faults if fault.kind in ("shared", "taken")]
        others = [fault for fault in faults if fault not in shared]
        held = (
            f"{len(self.holds):,} times held by {len(sessions):,} sessions, {self.refusals:,} times refused"
        )
        fenced = sum(1 for hold in self.holds if hold.fence is not None)
        verdicts = [passed(exclusion, held)]
        if shared:
            verdicts = [failed(exclusion, f"{len(shared)} times, first: {shared[0].text}", shared[0].calls)]
        if others:
            return [
                *verdicts,
                failed(fencing, f"{len(others)} times, first: {others[0].text}", others[0].calls),
            ]
        if not fenced:
            return [*verdicts, empty(fencing, "no holder got to see its token")]
        text = f"{fenced:,} tokens, {len(self.guarded):,} writes under a lock"
        return [*verdicts, passed(fencing, text)]
