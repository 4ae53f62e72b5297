"""A bank: money moves between accounts by transactions, and transactions read all accounts at once."""

import base64
import json
from typing import Any

from raftreg.checkers.snapshots import Snapshot, SnapshotFault, Transfer, check
from raftreg.verify.caller import Caller, Reply, World
from raftreg.verify.verdict import Verdict, empty, failed, passed
from raftreg.verify.workloads.workload import Workload, parameters

ACCOUNTS = 5
OPENING = 100
MODES = ("default", "consistent", "stale")
WEIGHTS = (4, 2, 2)
LOST, TORN, OLD = ("twice", "unwritten"), ("total", "torn", "forked"), ("stale",)


class Bank(Workload):
    """A version of an account is `amount:who wrote it`; a transfer compares-and-sets two accounts by index."""

    name = "bank"
    share = 2

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._folder = f"{world.prefix}/bank/"
        self._opening = {f"account-{number}": f"{OPENING}:opening-{number}" for number in range(ACCOUNTS)}
        gets = [{"KV": {"Verb": "get", "Key": self._folder + account}} for account in self._opening]
        self._get_all = json.dumps(gets)
        self.transfers: list[Transfer] = []
        self.snapshots: list[Snapshot] = []

    async def prepare(self, caller: Caller) -> None:
        """Open the accounts."""
        operations = [
            _operation("set", self._folder + account, text) for account, text in self._opening.items()
        ]
        reply = await caller.write("PUT", "/v1/txn", json.dumps(operations).encode())
        if reply.answer is None or reply.answer.status != 200:
            self.missing = f"the server takes no transactions ({_told(reply)})"

    async def step(self, caller: Caller) -> None:
        """Read all accounts; then perhaps move something between two of them."""
        mode = caller.chance.choices(MODES, WEIGHTS)[0]
        rows = await self._read(caller, mode)
        if rows and caller.chance.random() < 0.6:
            await self._move(caller, rows)

    async def finish(self, caller: Caller) -> None:
        """Read all accounts in every fresh mode a few times."""
        for mode in ("default", "consistent") * len(self.world.nodes):
            await self._read(caller, mode)

    async def _read(self, caller: Caller, mode: str) -> dict[str, Any]:
        """The rows by account; empty without an answer."""
        reply = await caller.ask("PUT", f"/v1/txn{parameters(mode)}", self._get_all.encode())
        if reply.answer is None or reply.answer.status != 200:
            return {}
        found = [row["KV"] for row in json.loads(reply.answer.body)["Results"]]
        rows = {row["Key"].removeprefix(self._folder): row for row in found}
        versions = {account: base64.b64decode(row["Value"] or "").decode() for account, row in rows.items()}
        amounts = {account: int(version.partition(":")[0]) for account, version in versions.items()}
        call = reply.operation("read", "bank", mode, tuple(versions.values()))
        self.snapshots.append(Snapshot(call, versions, amounts, mode == "stale"))
        return rows

    async def _move(self, caller: Caller, rows: dict[str, Any]) -> None:
        giver, taker = caller.chance.sample(sorted(rows), 2)
        amount, mark = caller.chance.randint(1, 9), caller.value()
        replaced = {account: base64.b64decode(rows[account]["Value"]).decode() for account in (giver, taker)}
        written = {
            account: f"{int(replaced[account].partition(':')[0]) + change}:{mark}-{account[-1]}"
            for account, change in ((giver, -amount), (taker, amount))
        }
        operations = [
            _operation("cas", self._folder + account, text, rows[account]["ModifyIndex"])
            for account, text in written.items()
        ]
        reply = await caller.write("PUT", "/v1/txn", json.dumps(operations).encode())
        call = reply.operation("transfer", "bank", tuple(replaced.values()), tuple(written.values()))
        if reply.answer is None or reply.answer.status == 200:
            self.transfers.append(Transfer(call, replaced, written))
        # One that was refused (409) must not be seen, and is no part of the history: its versions come from nowhere.

    def verdicts(self) -> list[Verdict]:
        """Lost updates, snapshots of one moment, freshness."""
        names = (
            ("bank: no lost update", LOST),
            ("bank: snapshots are of one moment", TORN),
            ("bank: fresh reads", OLD),
        )
        moved = sum(1 for each in self.transfers if each.call.known)
        if self.missing or not moved or not self.snapshots:
            reason = self.missing or f"{moved} transfers and {len(self.snapshots)} reads: too few to compare"
            return [empty(name, reason) for name, _ in names]
        faults = check(self._opening, ACCOUNTS * OPENING, self.transfers, self.snapshots)
        text = f"{moved:,} transfers, {len(self.snapshots):,} reads of all accounts"
        return [
            _verdict(name, [each for each in faults if each.kind in kinds], text) for name, kinds in names
        ]


def _verdict(name: str, faults: list[SnapshotFault], text: str) -> Verdict:
    if faults:
        return failed(name, f"{len(faults)} times, first: {faults[0].text}", faults[0].calls)
    return passed(name, text)


def _operation(verb: str, key: str, value: str, index: int | None = None) -> dict[str, Any]:
    fields: dict[str, Any] = {"Verb": verb, "Key": key, "Value": base64.b64encode(value.encode()).decode()}
    return {"KV": fields if index is None else fields | {"Index": index}}


def _told(reply: Reply) -> str:
    return "no answer" if reply.answer is None else f"{reply.answer.status} {reply.answer.text[:60]}".strip()
