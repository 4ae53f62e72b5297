"""Transactions over a few accounts: what each one read was one moment of one history, and no update was lost.

A transfer reads the versions of two accounts and writes both anew, provided that neither has changed. Every version is
written by one transfer only and names it, so the versions of an account form a chain, and a version knows all that
happened before it. With that, whether snapshots are of one moment, in one order, and new enough
is counted, not searched.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from raftreg.checkers.history import Operation

Version = str


@dataclass(frozen=True, slots=True)
class Transfer:
    """One transaction: `replaced` and `written` by account. `call` says when, and whether it happened."""

    call: Operation
    replaced: Mapping[str, Version]
    written: Mapping[str, Version]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One answered read of all accounts in one transaction. `may_lag`: the reader allowed any age."""

    call: Operation
    versions: Mapping[str, Version]
    amounts: Mapping[str, int]
    may_lag: bool = False


@dataclass(frozen=True, slots=True)
class SnapshotFault:
    """`kind` is total, unwritten, twice, torn, forked or stale; `calls` show it."""

    kind: str
    text: str
    calls: tuple[Operation, ...]

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


class _Chains:
    """How far each version is down the chain of its account, and how far it makes every other account be."""

    def __init__(self, initial: Mapping[str, Version], transfers: Iterable[Transfer]) -> None:
        self.depths: dict[Version, dict[str, int]] = {
            version: dict.fromkeys(initial, 0) for version in initial.values()
        }
        self.writers: dict[Version, Transfer] = {}
        waiting: defaultdict[Version, list[Transfer]] = defaultdict(list)
        for transfer in transfers:
            for version in transfer.written.values():
                self.writers[version] = transfer
            for version in transfer.replaced.values():
                waiting[version].append(transfer)
        ready = list(initial.values())
        while ready:
            for transfer in waiting[ready.pop()]:
                ready += self._place(transfer)

    def _place(self, transfer: Transfer) -> list[Version]:
        """The versions that a transfer wrote, once all that it replaced have their place."""
        before = [self.depths.get(version) for version in transfer.replaced.values()]
        new = [version for version in transfer.written.values() if version not in self.depths]
        if None in before or not new:
            return []
        depths = {
            account: max(known[account] for known in before if known is not None)
            for account in next(known for known in before if known is not None)
        }
        for account in transfer.written:
            depths[account] += 1
        for version in new:
            self.depths[version] = depths
        return new

    def writer(self, version: Version) -> tuple[Operation, ...]:
        """The call that wrote a version; none for one that was there from the beginning."""
        return (self.writers[version].call,) if version in self.writers else ()


def check(
    initial: Mapping[str, Version], total: int, transfers: Iterable[Transfer], snapshots: Iterable[Snapshot]
) -> list[SnapshotFault]:
    """All faults, one for each snapshot at most. `initial`: the versions that all accounts begin with."""
    done = [each for each in transfers if each.call.ok is not False]
    chains = _Chains(initial, done)
    faults = _won_twice(done)
    sound: list[Snapshot] = []
    for snapshot in sorted(snapshots, key=lambda each: each.call.invoked_s):
        fault = _look(snapshot, total, chains)
        if fault is None:
            sound.append(snapshot)
        else:
            faults.append(fault)
    return faults + _forks(sound, chains) + _stale(done, sound, chains)


def _won_twice(transfers: Sequence[Transfer]) -> list[SnapshotFault]:
    """Two acknowledged transfers that replaced the same version: one of them is lost."""
    first: dict[Version, Transfer] = {}
    faults = []
    for transfer in transfers:
        for account, version in transfer.replaced.items() if transfer.call.known else ():
            other = first.setdefault(version, transfer)
            if other is not transfer:
                text = f"two transactions both replaced the same version of {account}"
                faults.append(SnapshotFault("twice", text, (other.call, transfer.call)))
    return faults


def _look(snapshot: Snapshot, total: int, chains: _Chains) -> SnapshotFault | None:
    """What is wrong with one snapshot by itself."""
    shown = snapshot.versions
    for account, version in shown.items():
        if version not in chains.depths:
            return SnapshotFault(
                "unwritten", f"{account} holds what no transfer can have written", (snapshot.call,)
            )
    for account, version in shown.items():
        for other, depth in chains.depths[version].items():
            if other not in shown or chains.depths[shown[other]][other] < depth:
                text = f"a transfer is seen in {account}, and something at or before it not in {other}"
                return SnapshotFault("torn", text, (*chains.writer(version), snapshot.call))
    found = sum(snapshot.amounts.values())
    if found != total:
        return SnapshotFault("total", f"the amounts sum up to {found}, not {total}", (snapshot.call,))
    return None


def _place(snapshot: Snapshot, chains: _Chains) -> dict[str, int]:
    return {account: chains.depths[version][account] for account, version in snapshot.versions.items()}


def _forks(snapshots: Sequence[Snapshot], chains: _Chains) -> list[SnapshotFault]:
    """Two snapshots, each of which lacks what the other one shows."""
    ordered = sorted(
        ((_place(each, chains), each) for each in snapshots), key=lambda pair: sum(pair[0].values())
    )
    faults = []
    for (before, one), (after, other) in itertools.pairwise(ordered):
        if any(before[account] > depth for account, depth in after.items()):
            text = "each of two snapshots lacks a transfer that the other one shows"
            faults.append(SnapshotFault("forked", text, (one.call, other.call)))
    return faults


def _stale(
    transfers: Iterable[Transfer], snapshots: Iterable[Snapshot], chains: _Chains
) -> list[SnapshotFault]:
    """Snapshots that lack what was acknowledged, or shown by a snapshot, before they were asked for."""
    known: list[tuple[float, dict[str, int], Operation]] = []
    for each in transfers:
        depths = chains.depths.get(next(iter(each.written.values())))
        if each.call.known and depths is not None:
            known.append(
                (each.call.ended_s, {account: depths[account] for account in each.written}, each.call)
            )
    fresh = [(_place(each, chains), each.call) for each in snapshots if not each.may_lag]
    known += [(call.ended_s, place, call) for place, call in fresh]
    known.sort(key=lambda each: each[0])
    floors: dict[str, tuple[int, Operation]] = {}
    faults, position = [], 0
    for place, call in fresh:
        while position < len(known) and known[position][0] < call.invoked_s:
            for account, depth in known[position][1].items():
                if account not in floors or floors[account][0] < depth:
                    floors[account] = depth, known[position][2]
            position += 1
        for account, depth in place.items():
            if account in floors and floors[account][0] > depth:
                text = f"{account} is shown as it was before a transfer that was known already"
                faults.append(SnapshotFault("stale", text, (floors[account][1], call)))
                break
    return faults
