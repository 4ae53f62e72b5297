"""The long measurements judge themselves: what is missed or broken is said, and costs the exit code."""

import subprocess
import sys
from pathlib import Path

import pytest

from bench import faults, members, series, soak
from tests.e2e.cluster import Cluster, Node
from tests.e2e.faults import Outcome


def row(scene: str, gap_s: float, serving_s: float) -> faults.Row:
    """Three nodes, two rounds, of which one went perfectly."""
    return faults.Row(3, scene, [Outcome(0.01, 0.5, 1), Outcome(gap_s, serving_s, 1)])


@pytest.mark.parametrize(
    ("judged", "expected"),
    [
        (row("kill:leader", 0.6, 3.0), ""),
        (row("kill:leader", 0.61, 1.0), "gap above 0.6 s"),
        (row("stop:leader", 0.21, 1.0), "gap above 0.2 s"),
        (row("power-cut:all", 9.0, 3.1), "not serving within 3 s"),
    ],
)
def test_the_worst_round_is_judged(judged: faults.Row, expected: str) -> None:
    """One bad round among good ones is a miss; where no majority is left only the return counts."""
    assert expected == judged.verdict()
    assert faults.line_of(judged).endswith(expected or "ok")


def test_a_broken_promise_is_the_verdict() -> None:
    """Whatever the figures say."""
    judged = row("kill:leader", 0.01, 0.1)
    judged.broken = "n1 lost 3 of 9"
    assert "BROKEN: n1 lost 3 of 9" == judged.verdict()


def test_a_power_cut_that_lost_nothing_is_not_called_ok() -> None:
    """Nor a failure: row and summary say why nothing is known."""
    judged = row("power-cut:all", 9.0, 1.0)
    judged.is_cut = False
    assert "" == judged.verdict()
    assert faults.line_of(judged).endswith("  not cut: no file system can be mounted here")
    told = faults.summary([judged, row("kill:leader", 0.1, 1.0)], [], 60.0)
    assert told.endswith("every goal met; 1 of 2 scenes not cut: no file system can be mounted here")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (AssertionError("n1 lost 3"), "n1 lost 3"),
        (
            subprocess.TimeoutExpired("agent", 60),
            "TimeoutExpired: Command 'agent' timed out after 60 seconds",
        ),
        (OSError(28, "No space left"), "OSError: [Errno 28] No space left"),
    ],
)
def test_an_error_breaks_a_row_and_no_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, said: str
) -> None:
    """The other scenes are played, and the row of this one says what happened."""

    def breaks(*_: object) -> None:
        raise error

    monkeypatch.setattr(faults, "run_scene", breaks)
    assert 1 == faults.main(["--nodes", "3", "--only", "kill:all", "--only", "stop:all"])
    *_, first, second, last = capsys.readouterr().out.splitlines()
    assert first.endswith(f"BROKEN: {said}")
    assert second.endswith(f"BROKEN: {said}")
    assert "2 of 2 scenes failed" in last
    monkeypatch.setitem(members.SCENES, "moves", members.Scene(breaks, 3, ""))  # type: ignore[arg-type]
    assert 1 == members.main(["--only", "moves"])
    *_, row, last = capsys.readouterr().out.splitlines()
    assert row.endswith(f"BROKEN: seed 1: {said}")
    assert "1 of 1 scenes failed" in last


def samples(**lines: list[float]) -> list[series.Row]:
    """Rows of one second each."""
    count = len(next(iter(lines.values())))
    return [{"seconds": float(at)} | {name: line[at] for name, line in lines.items()} for at in range(count)]


WARM = [10.0] * 4 + [100.0] * 12
LEAK = [100.0 + 10.0 * at for at in range(16)]
KINDS = (
    "n1_rss_mib",
    "n1_disk_mib",
    "n1_fds",
    "p50_ms",
    "p99_ms",
    "n1_segments",
    "answers_per_s",
    "errors_per_s",
)


def test_lines_that_rise_are_told_and_flat_ones_are_not() -> None:
    """Memory is compared after warming up; segments have a bound that needs no comparison; rates may change."""
    assert [] == series.grown(samples(n1_rss_mib=WARM, n1_segments=[2.0] * 16, requests_per_s=LEAK))
    assert ["n2_rss_mib grew from 155.0 to 235.0"] == series.grown(samples(n1_rss_mib=WARM, n2_rss_mib=LEAK))
    assert ["n1_segments reached 9, at most 4 are expected"] == series.grown(samples(n1_segments=[9.0]))


@pytest.mark.parametrize("name", ["n1_disk_mib", "n1_fds", "p50_ms", "p99_ms"])
def test_disk_descriptors_and_latency_are_judged_as_memory_is(name: str) -> None:
    """The last quarter is compared with the second one; a bit more is none."""
    leak = [100.0] * 12 + [251.0] * 4
    assert [f"{name} grew from 100.0 to 251.0"] == series.grown(samples(**{name: leak}))
    assert [] == series.grown(samples(**{name: [100.0] * 12 + [110.0] * 4}))


def test_errors_are_judged_as_a_share_of_all_answers() -> None:
    """All at once or spread out."""
    answers = [100.0] * 16
    assert [] == series.grown(samples(answers_per_s=answers, errors_per_s=[0.0] * 15 + [16.0]))
    assert ["1.1% of all answers were 5xx, at most 1%"] == series.grown(
        samples(answers_per_s=answers, errors_per_s=[0.0] * 15 + [17.0])
    )


def test_too_few_samples_are_not_called_flat() -> None:
    """Each kind that cannot be judged is named; what is wrong all the same is said too."""
    enough = samples(**{name: [1.0] * 16 for name in KINDS})
    assert "all is there, every line is flat" == series.verdict([], enough, "all is there")
    few = samples(**{name: [1.0] * 15 for name in KINDS})
    told = (
        "not judged, too few samples: rss_mib (15), disk_mib (15), fds (15), p50_ms (15), p99_ms (15), "
        "segments (15), errors_per_s (15)"
    )
    assert told == series.verdict([], few)
    assert f"n1 ended\n{told}" == series.verdict(["n1 ended"], few, "all is there")
    before = [{name: value for name, value in row.items() if name != "errors_per_s"} for row in enough]
    assert "not judged, too few samples: errors_per_s (0)" == series.verdict([], before)


def test_a_finished_run_is_judged_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From its samples alone; the exit code tells."""
    file = tmp_path / "soak.csv"
    flat: dict[str, list[float]] = {name: [1.0] * 16 for name in KINDS} | {"errors_per_s": [0.0] * 16}
    for lines, code, said in (
        (flat, 0, "every line is flat"),
        (flat | {"n1_rss_mib": LEAK}, 1, "n1_rss_mib grew from 155.0 to 235.0"),
    ):
        series.write_csv(file, samples(**lines))
        assert code == soak.main(["--judge", str(file)])
        assert said == capsys.readouterr().out.splitlines()[-1]


class Puppets(Cluster):
    """Processes that do nothing, and end by SIGTERM as no node should; n1 leads."""

    def start(self, *names: str) -> None:
        """No need to wait."""
        for name in names or self.nodes:
            self[name].process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])

    def leader(self, *, other_than: str = "") -> Node:
        """Always the same."""
        return self["n1"]


def test_a_disturbance_notices_who_ended_by_itself_or_wrongly(tmp_path: Path) -> None:
    """Before it kills; and such a node is started again."""
    wrong: list[str] = []
    with Puppets(tmp_path) as cluster:
        cluster.start()
        soak.disturb_one(cluster, 1, wrong)
        assert [] == wrong
        for node, script in ((cluster["n2"], "exit(70)"), (cluster["n3"], "exit(0)")):
            node.kill()
            node.process = subprocess.Popen([sys.executable, "-c", script])
            node.process.wait()
        soak.disturb_one(cluster, 2, wrong)
        assert ["n2 ended by itself with 70", "n3 ended by itself with 0"] == wrong
        assert 3 == len(cluster.running())
        soak.disturb_one(cluster, 4, wrong)
        assert ["n1 ended with -15 on SIGTERM, not with 0"] == wrong[2:]


def test_samples_survive_a_file(tmp_path: Path) -> None:
    """What was not measured stays away."""
    rows: list[series.Row] = [{"seconds": 2.0, "n1_fds": 40.0}, {"seconds": 4.0}]
    series.write_csv(tmp_path / "soak.csv", rows)
    assert rows == series.read_csv(tmp_path / "soak.csv")
