"""The harness of the benchmarks: what it makes of figures, and that a call says what it should in each dialect."""

import base64
import json
from pathlib import Path

from bench.compare import compare
from bench.harness.client import encode
from bench.harness.dialects import STALE, ConsulDialect, EtcdDialect
from bench.harness.figures import DOWN, UP, Figure, Results
from bench.harness.goals import judge
from bench.harness.outage import Outage
from bench.harness.report import write_report

POINTS = ((0.5, 0.001), (0.99, 0.004))


def results(ours: tuple[float, ...] = (10.0, 30.0), peer: tuple[float, ...] = (5.0, 10.0)) -> Results:
    """Two rounds of one figure of raftreg and of etcd, with a failover."""
    figures = [
        Figure("writes", "64 clients, leader", "rate", "1/s", UP, value, target, number, POINTS)
        for target, values in (("raftreg", ours), ("etcd", peer))
        for number, value in enumerate(values)
    ]
    figures.append(
        Figure("resources", "1,000 keys, 100 services", "memory of a node", "MiB", DOWN, 50.0, "raftreg")
    )
    outage = Outage(
        [(-0.01, 0.0), (0.01, 0.05), (0.04, 0.06)], [(0.04, 2, None), (0.05, 2, 1)], former=0, until_s=0.1
    )
    return Results(
        {"cores": "2"}, {"quick": True}, ["consul: no program"], [], figures, [outage.timeline("a kill")]
    )


def test_a_ratio_is_of_figures_of_the_same_round() -> None:
    """The median of the rounds' ratios, not the ratio of the medians."""
    found = results()
    assert [2.0, 3.0] == found.ratios(("writes", "64 clients, leader", "rate"), "raftreg", "etcd")
    assert 20.0 == found.median(("writes", "64 clients, leader", "rate"), "raftreg")


def test_a_goal_is_judged_by_the_median_ratio() -> None:
    """Twice as many writes reach the bound of 1.25, as many do not, and without a peer nothing is said."""
    by_rate = {True: results(), False: results(ours=(5.0, 10.0)), None: results(peer=())}
    for expected, found in by_rate.items():
        verdicts = [verdict for verdict in judge(found) if verdict.ours]
        assert [expected] == [verdict.reached for verdict in verdicts]


def test_results_survive_their_file(tmp_path: Path) -> None:
    """What is read is what was written, and the table has a line for each figure."""
    results().write(tmp_path)
    assert results() == Results.read(tmp_path)
    assert 1 + len(results().figures) == len((tmp_path / "results.csv").read_text("utf-8").splitlines())


def test_the_report_stands_alone(tmp_path: Path) -> None:
    """One page with goals, figures and pictures in it, and nothing that is fetched."""
    write_report(results(), tmp_path)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "2.50 (2.00 to 3.00)" in page
    assert "reached" in page
    assert "not measured: consul: no program" in page
    assert page.count("<svg") == len(list((tmp_path / "plots").glob("*.svg"))) >= 4
    assert "src=" not in page


def test_a_regression_beyond_the_noise_is_named() -> None:
    """Half the rate of steady rounds is worse, twice is better, a little less is noise."""
    steady = results(ours=(100.0, 100.0), peer=())
    said = {rate: compare(steady, results(ours=(rate, rate), peer=()))[0][-1] for rate in (50.0, 97.0, 200.0)}
    assert {50.0: "WORSE", 97.0: "", 200.0: "better"} == said
    once = [compare(results((100.0,), ()), results((rate,), ()))[0][-1] for rate in (80.0, 70.0)]
    assert ["", "WORSE"] == once


def test_an_outage_is_the_longest_gap_after_the_fault() -> None:
    """Gaps before it do not count, and the leader is known when a survivor names another one."""
    outage = Outage(
        [(0, -3.0), (0, -1.0), (0, -0.01), (0, 0.2), (0, 0.3)], [(-1.0, 1, 2), (0.1, 1, 0), (0.15, 2, 1)]
    )
    assert 0.21 == round(outage.without_writes_s, 6)
    assert 0.15 == outage.without_leader_s


def test_an_outage_ends_with_a_second_of_steady_answers() -> None:
    """One answer after a long silence is no end of it, nor are answers to what was sent before the fault."""
    silent = Outage([(0.01 * step, 1.01 + 0.01 * step) for step in range(1, 4)])
    assert not silent.is_good_again(1.05, 1.0)
    steady = Outage([(at / 10, at / 10) for at in range(1, 21)])
    assert [False, True, False] == [steady.is_good_again(now, 1.0) for now in (0.9, 2.0, 2.6)]
    assert not Outage([(-0.1, at / 10) for at in range(1, 21)]).is_good_again(2.0, 1.0)


def test_dialects_say_the_same_operation() -> None:
    """Key and value of a put are those of the get, in Consul's words and in etcd's."""
    assert ConsulDialect().put(20).filled(1_234_567).path == "/v1/kv/key/000000567"
    put, get = EtcdDialect().put(20).filled(1_234_567), EtcdDialect().get(STALE)
    assert get is not None
    fields, asked = json.loads(put.body), json.loads(get.filled(1_234_567).body)
    assert fields["key"] == asked["key"]
    assert base64.b64decode(fields["key"]).endswith(b"000000567")
    assert base64.b64decode(fields["value"]) == b"001234567" + b"x" * 11
    assert b"Content-Length: %d\r\n" % len(put.body) in encode(put)
