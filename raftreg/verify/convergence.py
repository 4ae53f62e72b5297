"""Whether all nodes hold the same in the end, each asked for its own copy."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from raftreg.checkers.history import Operation
from raftreg.verify.caller import Caller, World
from raftreg.verify.record import Record
from raftreg.verify.verdict import Verdict, empty, failed, passed

CHECK = "cluster: all nodes hold the same"
POLL_S = 0.2


async def compare(world: World, caller: Caller, copies: Sequence[str], timeout_s: float) -> None:
    """Read every node's own copy until all are equal, or the time is up; into the record.

    `copies`: paths beside the keys of the run.
    """
    paths = [f"/v1/kv/{world.prefix}/?recurse&stale", *copies]
    give_up = world.clock.now() + timeout_s
    record = world.record
    while True:
        dumps = await _dumps(world, caller, paths)
        missing = sorted(set(world.nodes) - set(dumps))
        record.dumps = dumps
        record.dumps_problem = f"{', '.join(missing)} gave no answer" if missing else ""
        equal = all(dump == next(iter(dumps.values())) for dump in dumps.values())
        if (equal and not missing) or world.clock.now() > give_up:
            return
        await asyncio.sleep(POLL_S)


async def _dumps(world: World, caller: Caller, paths: Sequence[str]) -> dict[str, dict[str, str]]:
    """What each node that answers everything holds."""
    dumps: dict[str, dict[str, str]] = {}
    for node in world.nodes:
        dump: dict[str, str] = {}
        for path in paths:
            reply = await caller.read(path, node)
            if reply.answer is None:
                break
            if reply.answer.status == 200:
                dump |= _named(json.loads(reply.answer.body))
        else:
            dumps[node] = dump
    return dumps


def _named(document: Any) -> dict[str, str]:
    """The parts of an answer by a name of their own, as text."""
    if isinstance(document, dict):
        return {"state": f"{document.get('StateIndex')} {document.get('StateDigest')}"}
    names = (row.get("Key") or f"check {row.get('CheckID')} of {row.get('Node')}" for row in document)
    return {name: json.dumps(row, sort_keys=True) for name, row in zip(names, document, strict=True)}


def convergence_verdict(record: Record) -> Verdict:
    """Equal, or the first name that differs, with what each node holds."""
    dumps = record.dumps
    if record.dumps_problem or not dumps:
        return empty(CHECK, record.dumps_problem or "nobody was asked")
    names = set().union(*dumps.values())
    different = sorted(name for name in names if len({dump.get(name) for dump in dumps.values()}) > 1)
    if not different:
        return passed(CHECK, f"{len(names):,} keys and checks are equal on {len(dumps)} nodes")
    name = different[0]
    proof = [
        Operation(number, f"held by {node}", name, None, dump.get(name), record.ended_s, record.ended_s, True)
        for number, (node, dump) in enumerate(dumps.items())
    ]
    return failed(CHECK, f"{len(different)} of {len(names):,} differ, first: {name}", proof)
