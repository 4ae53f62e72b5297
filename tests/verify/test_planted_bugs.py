"""The proof of the prover: a correct cluster passes every check, and each planted bug fails the check meant for it."""

import pytest

from raftreg.addresses import Address
from raftreg.verify.options import WORKLOADS, Options
from raftreg.verify.report import page
from raftreg.verify.run import Finished, verify
from raftreg.verify.verdict import Outcome, all_passed
from tests.verify.server import Cluster

SOME_URL = Address("127.0.0.1", 1)  # what counts is that the cluster runs already
# Bug -> the workload that meets it, and the check that is meant for it.
BUGS = {
    "lost-write": ("set", "set: lost and resurrected keys"),
    "resurrected": ("set", "set: lost and resurrected keys"),
    "applied-twice": ("set", "set: written once"),
    "stale-consistent-read": ("registers", "registers: ?consistent reads"),
    "cas-wins-twice": ("registers", "registers: default reads"),
    "min-index-ignored": ("registers", "registers: own writes (min-index)"),
    "index-steps-back": ("registers", "nodes: no index steps back"),
    "lost-update": ("bank", "bank: no lost update"),
    "torn-transaction": ("bank", "bank: snapshots are of one moment"),
    "stale-transaction": ("bank", "bank: fresh reads"),
    "shared-lock": ("locks", "locks: mutual exclusion"),
    "stuck-fence": ("locks", "locks: fencing tokens"),
    "dropped-registration": ("services", "services: registrations"),
    "lost-status": ("services", "services: status of checks"),
    "nodes-differ": ("set", "cluster: all nodes hold the same"),
}


def run(cluster: Cluster, *workloads: str, seconds: float = 0.5) -> Finished:
    """A short run without faults, at full speed."""
    options = Options(seconds, workloads=workloads, rate=0.0, settle_s=0.5, urls={"n1": SOME_URL}, clients=8)
    return verify(options, cluster, lambda progress: None)


@pytest.mark.parametrize("raftreg", [True, False])
def test_a_correct_cluster_passes_every_check(raftreg: bool) -> None:
    """There is evidence for each check, of raftreg and of any other server, and nothing is wrong."""
    for seconds in (1.5, 10.0):  # A busy machine gets few calls done, and a check may have no evidence.
        finished = run(Cluster(raftreg=raftreg), *WORKLOADS, seconds=seconds)
        if all_passed(finished.verdicts):
            break
    assert [] == [each for each in finished.verdicts if each.outcome is not Outcome.PASS]
    assert all_passed(finished.verdicts)


@pytest.mark.parametrize("bug", BUGS)
def test_the_check_that_is_meant_for_a_bug_finds_it(bug: str) -> None:
    """It fails, names what is wrong, and shows calls that prove it, which the page draws."""
    workload, check = BUGS[bug]
    for seconds in (0.5, 2.0, 8.0):  # A busy machine gets few calls done, and the bug may not have shown.
        finished = run(Cluster(bug), workload, seconds=seconds)
        (verdict,) = [each for each in finished.verdicts if each.check == check]
        if verdict.outcome is Outcome.FAIL:
            break
    assert Outcome.FAIL == verdict.outcome, verdict.text
    assert 1 <= len(verdict.proof) <= 6, len(verdict.proof)
    assert not all_passed(finished.verdicts)
    assert f"<h3>{check.replace('>', '&gt;')}</h3>" in page(
        finished.run, finished.verdicts, finished.staleness
    )
