"""The members of a throw-away cluster: who comes, goes and is replaced, by the HTTP API of whichever node answers.

A cluster that is disturbed may refuse, or leave open what became of a change. So nothing depends on one answer: what
has to hold is looked at again, and the next step towards it taken, until it holds or the time is up.
"""

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from raftreg.addresses import Address
from raftreg.verify.exchange import Connection, NotSent, Unanswered
from raftreg.verify.target import CannotAct

ATTEMPT_S = 2.0  # for one answer
TRY_S = 4.0  # for a change in the middle of a fault; what cannot be done then is not done
MEND_S = 45.0  # for what has to hold before the run goes on
PAUSE_S = 0.05
MEMBERS = "/v1/raftreg/members"


@dataclass(frozen=True, slots=True)
class View:
    """The members as their leader sees them. By id: name, whether it votes, whether it is connected."""

    members: Mapping[str, tuple[str, bool, bool]]
    waiting: Mapping[str, str]  # the ids of strangers, with their names

    def called(self, name: str) -> str | None:
        """The id of the member of that name."""
        return next((member for member, (of, _, _) in self.members.items() if of == name), None)

    def waits(self, name: str) -> str | None:
        """The id of the stranger of that name."""
        return next((member for member, of in self.waiting.items() if of == name), None)


Step = tuple[str, dict[str, str]] | None  # kind and body of a change; None if there is nothing left to do


class Membership:
    """Asks the nodes at these addresses, by name, one after the other."""

    def __init__(self, nodes: Mapping[str, Address]) -> None:
        self._nodes = nodes

    async def reach(self, next_step: Callable[[View], Step], timeout_s: float) -> bool:
        """Take step after step until there is none left; False if the time is up before."""
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    view = await self._view()
                    step = next_step(view) if view is not None else None
                    if view is not None and step is None:
                        return True
                    if (
                        step is not None
                        and await self._ask("POST", f"{MEMBERS}/{step[0]}", step[1]) is not None
                    ):
                        continue
                    await asyncio.sleep(PAUSE_S)
        except TimeoutError:
            return False

    async def mend(self, names: Iterable[str]) -> None:
        """Make exactly these nodes, each with the data that it has now, the voters. CannotAct if that fails."""
        wanted = list(names)
        if not await self.reach(lambda view: towards(view, wanted), MEND_S):
            raise CannotAct(f"{', '.join(wanted)} are not the voters again within {MEND_S:g} s")

    async def _view(self) -> View | None:
        shown = await self._ask("GET", MEMBERS, None)
        if shown is None:
            return None
        members = {
            row["ID"]: (row["Name"], row["Role"] == "voter", row["Connected"]) for row in shown["Members"]
        }
        return View(members, {row["ID"]: row["Name"] for row in shown["Strangers"]})

    async def _ask(self, method: str, path: str, body: dict[str, str] | None) -> Any:
        """The answer of the first node that has one; None if nobody has."""
        for address in self._nodes.values():
            connection = Connection(address, ATTEMPT_S)
            try:
                text = b"" if body is None else json.dumps(body).encode()
                answer = await connection.request(method, path, text)
                if answer.status == 200:
                    return json.loads(answer.body)
            except (NotSent, Unanswered):
                continue  # Another one may know.
            finally:
                connection.close()
        return None


def towards(view: View, wanted: list[str]) -> Step:
    """The next step to a cluster whose voters are the wanted ones, with the data that they have now."""
    for name in wanted:
        member, waiting = view.called(name), view.waits(name)
        if member is None:
            return ("add", {"Member": waiting}) if waiting else _wait(name)
        _, votes, connected = view.members[member]
        if waiting is not None and not connected:
            return "replace", {"Old": member, "New": waiting}
        if not connected:
            return _wait(name)
        if not votes:
            return "promote", {"Member": member}
    for member, (name, _, _) in view.members.items():
        if name not in wanted:
            return "remove", {"Member": member}
    return None


def _wait(name: str) -> Step:
    """A step that is refused as long as nobody of that name waits, and does no harm when somebody does."""
    return "add", {"Member": name}


def admit(name: str) -> Callable[[View], Step]:
    """The steps that make a node that waits a voter."""

    def step(view: View) -> Step:
        member = view.called(name)
        if member is None:
            return "add", {"Member": name}
        return None if view.members[member][1] else ("promote", {"Member": member})

    return step


def expel(name: str) -> Callable[[View], Step]:
    """The step that takes a member out."""

    def step(view: View) -> Step:
        member = view.called(name)
        return None if member is None else ("remove", {"Member": member})

    return step
