"""All checks of a run, in the order in which they are shown."""

from collections.abc import Callable

from raftreg.checkers import monotonic
from raftreg.checkers.history import Operation, Sighting
from raftreg.verify.convergence import convergence_verdict
from raftreg.verify.drive import Run
from raftreg.verify.staleness import Staleness
from raftreg.verify.verdict import Verdict, empty, failed, passed
from raftreg.verify.workloads.registers import Registers

MONOTONIC = "nodes: no index steps back"
RECOVERY = "cluster: every node serves again"
DEATHS = "nodes: none ended by itself"


def judge(run: Run, tell: Callable[[str], None]) -> list[Verdict]:
    """Every check; `tell` hears which workload is being looked at."""
    verdicts: list[Verdict] = []
    for workload in run.workloads:
        tell(workload.name)
        found = workload.verdicts()
        verdicts += (
            [empty(verdict.check, workload.missing) for verdict in found] if workload.missing else found
        )
        if isinstance(workload, Registers):
            verdicts.append(_monotonic(workload.sightings))
    if len(run.nodes) > 1:
        verdicts.append(convergence_verdict(run.record))
    verdicts.append(_recovery(run))
    if not run.options.urls:
        verdicts.append(_deaths(run))
    return verdicts


def staleness(run: Run) -> Staleness | None:
    """How old ?stale answers were, if registers were read."""
    for workload in run.workloads:
        if isinstance(workload, Registers):
            return workload.staleness()
    return None


def _monotonic(sightings: list[Sighting]) -> Verdict:
    if not sightings:
        return empty(MONOTONIC, "no read was answered")
    faults = monotonic.check(sightings)
    if not faults:
        return passed(MONOTONIC, f"{len(sightings):,} reads; an index means one value everywhere")
    fault = faults[0]
    proof = [_seen(0, fault.earlier), _seen(0 if fault.earlier.node == fault.later.node else 1, fault.later)]
    return failed(MONOTONIC, f"{len(faults)} times, first: {fault.later.key}: {fault.why}", proof)


def _seen(client: int, sighting: Sighting) -> Operation:
    result = f"index {sighting.index}: {sighting.value}"
    return Operation(
        client,
        f"read at {sighting.node}",
        sighting.key,
        None,
        result,
        sighting.invoked_s,
        sighting.returned_s,
        True,
    )


def _recovery(run: Run) -> Verdict:
    if run.recovered_s is None:
        return failed(RECOVERY, "not every node served a write and a consistent read within a minute of calm")
    if run.absent:
        return empty(RECOVERY, f"{', '.join(run.absent)} took no part: {'; '.join(run.absent.values())}")
    return passed(RECOVERY, f"all {len(run.nodes)} nodes {run.recovered_s:.1f} s after everything was undone")


def _deaths(run: Run) -> Verdict:
    deaths = run.record.deaths
    if deaths:
        return failed(DEATHS, f"{len(deaths)} times, first: {deaths[0]}")
    return passed(DEATHS, f"{len(run.nodes)} nodes")
