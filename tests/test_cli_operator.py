"""`raftreg operator raft` and `raftreg recover` as people and scripts see them: output, errors, exit codes."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from raftreg.api.dispatch import body_limit
from raftreg.api.listener import Listener
from raftreg.cli.root import raftreg
from raftreg.consensus import MemberChange
from raftreg.consensus.disk import RealDisk
from raftreg.consensus.identity import read_identity, write_identity
from tests.api.test_members_api import Api
from tests.fake_members import UUID, peer, stranger
from tests.registry.test_recovering import on_node, write_some


class Served:
    """The API of node b of a cluster of fakes on a port of this machine, in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.api = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(20)
        self.cluster = self.api.cluster

    async def _start(self) -> Api:
        api = Api()
        self._listener = Listener(api.answer, body_limit(), "127.0.0.1", 0)
        await self._listener.start()
        return api

    def run(self, *words: str) -> Result:
        """A command of `raftreg operator raft`, asking this node."""
        return self.invoke("operator", "raft", *words)

    def invoke(self, *words: str) -> Result:
        """Any command, asking this node."""
        address = f"127.0.0.1:{self._listener.port}"
        return CliRunner().invoke(raftreg, [*words, "--http-addr", address])

    def lines(self, *words: str) -> list[str]:
        """What a command prints that succeeds."""
        result = self.run(*words)
        assert 0 == result.exit_code, result.output
        return result.stdout.splitlines()

    def close(self) -> None:
        """Stop."""
        asyncio.run_coroutine_threadsafe(self._listener.stop(1.0), self._loop).result(20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture
def served() -> Iterator[Served]:
    """A cluster of a (leading), b and c; d waits."""
    server = Served()
    yield server
    server.close()


def test_the_list_shows_roles_and_what_to_do(served: Served) -> None:
    """A line for each member and each node that waits; then the notes."""
    served.cluster.members["e.1"] = peer("e", voter=False, caught_up=False)
    served.cluster.members["c.1"] = peer("c", silent_s=40)
    rows = [line.split() for line in served.lines("list")]
    assert ["Node", "Role", "State", "Lag", "Heard", "Address", "Id"] == rows[0]
    assert ["a", "leader", "connected", "2", "now", "a:1", "a.1"] == rows[1]
    assert ["c", "voter", "not", "connected", "2", "40s", "ago", "c:1", "c.1"] in rows
    assert ["e", "learner", "catching", "up", "2", "now", "e:1", "e.1"] in rows
    assert ["d", "stranger", "waits", "60s", "-", "now", "d:9", "d.9"] in rows
    notes = [" ".join(row) for row in rows if row[0] == "note:"]
    assert "note: d waits to be added: raftreg operator raft add d" in notes
    assert ["cluster", "c1,", "leader", "a,", "3", "voters"] in rows


def test_add_waits_until_it_votes(served: Served) -> None:
    """Unless told otherwise; what it has got so far is told meanwhile."""

    def promote() -> None:
        served.cluster.members["d.9"] = replace(served.cluster.members["d.9"], voter=True)

    assert ["added d.9"] == served.lines("add", "d", "--no-wait")
    assert ["d.9 is a member already"] == served.lines("add", "d", "--no-wait")
    refused = served.run("add", "d", "--standby")
    assert (1, "") == (refused.exit_code, refused.stdout)
    assert (
        "answers 409: d is a learner that will vote: remove it, then add it with --standby" in refused.stderr
    )
    timer = threading.Timer(0.3, promote)
    timer.start()
    result = served.run("add", "d")
    timer.join()
    assert (0, "d.9 is a member already") == (result.exit_code, result.stdout.splitlines()[0])
    assert "is a voter, after" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("note: 4 voters survive the loss of 1, as 3 do")
    assert "catching up, 2 entries behind" in result.stderr


def test_add_waits_for_a_node_that_was_just_started(served: Served) -> None:
    """It says so, and goes on when the node is there."""
    timer = threading.Timer(0.3, lambda: served.cluster.strangers.update({"f.9": stranger("f")}))
    timer.start()
    result = served.run("add", "f", "--standby")
    timer.join()
    assert (0, "added f.9\n") == (result.exit_code, result.stdout)
    assert "  no node f is connected yet; waiting for it\n" == result.stderr


@pytest.mark.parametrize("which", ["F", "f:9", f"f.{UUID}", "01234567-89AB-cdef-0123-456789abcdef", UUID])
def test_add_knows_a_node_by_whatever_it_is_called(served: Served, which: str) -> None:
    """Its name in any case, its address, its id, its UUID with hyphens and without: it does not wait for one that is
    there."""
    served.cluster.strangers[f"f.{UUID}"] = stranger("f", incarnation=UUID)
    result = served.run("add", which, "--standby")
    assert (0, f"added f.{UUID}\n", "") == (result.exit_code, result.stdout, result.stderr)


def test_waiting_ends(served: Served) -> None:
    """With what is the case by then."""
    result = served.run("add", "d", "--timeout", "0")
    assert (1, "added d.9\n") == (result.exit_code, result.stdout)
    assert (
        "d.9 is no voter yet (catching up, 2 entries behind); the leader goes on by itself" in result.stderr
    )


def test_promote_remove_and_transfer(served: Served) -> None:
    """One line each, and a warning where the number of voters is even."""
    served.cluster.members["e.1"] = peer("e", voter=False)
    promoted = served.lines("promote", "e")
    assert "e.1 is a voter" == promoted[0]
    assert promoted[1].startswith("note: 4 voters survive the loss of 1, as 3 do")
    assert ["removed e.1: stop it if it runs"] == served.lines("remove", "e")
    assert ["c leads"] == served.lines("transfer-leader", "c")
    assert served.lines("transfer-leader")[0].endswith(" leads")


def test_replace_risks_nothing_while_the_old_one_is_well(served: Served) -> None:
    """The new one votes first, the old one goes then. If the old one is lost, both are one step."""

    def promote() -> None:
        served.cluster.members["d.9"] = replace(served.cluster.members["d.9"], voter=True)

    timer = threading.Timer(1.0, promote)
    timer.start()
    lines = served.lines("replace", "c", "d")
    timer.join()
    assert ["added d.9", "removed c.1: stop it"] == [lines[0], lines[-1]]
    assert [] == [line for line in lines if "note" in line]  # Of the voters that there are for a moment only.
    served.cluster.members["b.1"] = peer("b", silent_s=40)
    served.cluster.strangers["b.9"] = stranger("b")
    assert ["b.9 takes the place of b.1"] == served.lines("replace", "b", "--no-wait")
    assert [
        MemberChange("add", "d.9"),
        MemberChange("remove", "c.1"),
        MemberChange("replace", "b.9", "b.1"),
    ] == served.cluster.changes


@pytest.mark.parametrize("by_hand", [False, True])
def test_replace_that_is_not_waited_for_goes_on_when_run_again(
    served: Served, monkeypatch: pytest.MonkeyPatch, by_hand: bool
) -> None:
    """The leader makes the new one a voter and removes nobody: that is said, by Ctrl-C too."""
    left = "c is not removed yet, and nobody does that by itself: run the same command again\n"
    if by_hand:

        def interrupt(state: str) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr("raftreg.cli.catching_up._show", interrupt)
            ended = served.run("replace", "c", "d")
        assert f"raftreg: not waiting any more for d.9; {left}" == ended.stderr
    else:
        ended = served.run("replace", "c", "d", "--timeout", "0")
        assert f"raftreg: d.9 is no voter yet (catching up, 2 entries behind); {left}" in ended.stderr
    assert (1, "added d.9\n") == (ended.exit_code, ended.stdout)
    served.cluster.members["d.9"] = replace(served.cluster.members["d.9"], voter=True)
    lines = served.lines("replace", "c", "d")
    assert ["d.9 is a member already", "removed c.1: stop it"] == [lines[0], lines[-1]]
    assert [MemberChange("add", "d.9"), MemberChange("remove", "c.1")] == served.cluster.changes


def test_replace_of_a_living_voter_beside_a_dead_one_takes_force(served: Served) -> None:
    """In one step, as for a standby, and where the new one votes first."""
    served.cluster.members["c.1"] = peer("c", silent_s=40)
    refused = served.run("replace", "b", "d", "--standby")
    assert 1 == refused.exit_code
    assert "b is alive and c is not: remove or replace c first" in refused.stderr
    assert ["d.9 takes the place of b.1"] == served.lines("replace", "b", "d", "--standby", "--force")
    served.cluster.members["b.1"] = peer("b")
    served.cluster.members["f.1"] = peer("f")
    assert "removed b.1: stop it" == served.lines("replace", "b", "f", "--force")[-1]


def test_replace_of_a_living_voter_beside_a_dead_one_adds_nobody(served: Served) -> None:
    """What would be refused in the end is refused at the start, in the words of the leader."""
    words = "is alive and c is not: remove or replace c first (with"
    heard = peer("c", silent_s=40)
    for dead in (heard, replace(heard, connected=True), replace(peer("c"), connected=False)):
        served.cluster.members["c.1"] = dead
        for old in ("a", "b"):
            refused = served.run("replace", old, "d", "--timeout", "0")
            assert (1, "") == (refused.exit_code, refused.stdout)
            assert f"raftreg: {old} {words} --force {old} goes" in refused.stderr
    served.cluster.members["c.1"] = heard
    assert f"answers 409: b {words} force b goes" in served.run("remove", "b").stderr
    assert [] == served.cluster.changes


def test_add_of_a_standby_says_what_makes_it_a_voter(served: Served) -> None:
    """At once, as it never becomes one by itself."""
    served.cluster.members["s.1"] = peer("s", voter=False, standby=True, caught_up=True)
    result = served.run("add", "s", "--timeout", "5")
    assert (1, "s.1 is a member already\n") == (result.exit_code, result.stdout)
    text = "s is a standby, which votes on nothing: raftreg operator raft promote s"
    assert f"raftreg: {text}\n" == result.stderr


def test_nobody_waits_for_a_standby_to_vote(served: Served) -> None:
    """Who replaces one is one; with --voter it is waited for."""
    served.cluster.members["s.1"] = peer("s", voter=False, silent_s=40, standby=True)
    served.cluster.strangers["s.9"] = stranger("s")
    assert ["s.9 takes the place of s.1"] == served.lines("replace", "s")
    assert MemberChange("replace", "s.9", "s.1", standby=True) == served.cluster.changes[-1]
    served.cluster.members["s.9"] = peer("s", incarnation="9", voter=False, silent_s=40, standby=True)
    served.cluster.strangers["s.8"] = stranger("s", incarnation="8")
    assert 1 == served.run("replace", "s", "--voter", "--timeout", "0").exit_code
    assert MemberChange("replace", "s.8", "s.9") == served.cluster.changes[-1]


def test_mistakes_are_one_line(served: Served) -> None:
    """With exit code 1, or 2 for wrong usage."""
    for words, text in (
        (("add", "x", "--timeout", "0"), 'answers 404: no node "x" waits to be added (waiting are d)'),
        (("remove", "x"), 'answers 404: no member "x"; members are a, b, c'),
        (("replace", "c", "d", "--no-wait"), "c is well: it is removed once d is a voter"),
        (("replace", "c", "c"), 'answers 404: no node "c" waits to come for c (waiting are d)'),
        (("replace", "c", "c.1"), 'answers 404: no node "c.1" waits to come for c'),
        (("transfer-leader", "x"), 'answers 404: no member "x"'),
    ):
        result = served.run(*words)
        assert (1, "", 1) == (result.exit_code, result.stdout, len(result.stderr.splitlines()))
        assert text in result.stderr
    assert 2 == served.run("remove").exit_code
    assert [] == served.cluster.changes


def recover(*words: str) -> Result:
    """`raftreg recover`, without a terminal."""
    return CliRunner().invoke(raftreg, ["recover", *words])


def test_recover_asks_before_it_acts(tmp_path: Path) -> None:
    """It shows what there is, wants the id of the cluster that is given up, and says what to do then."""
    path = str(tmp_path / "n1")
    cluster_id = on_node(Path(path), write_some)
    shown = recover("--data-dir", path)
    assert 0 == shown.exit_code
    header, row = (line.split() for line in shown.stdout.splitlines()[:2])
    assert ["Directory", "Node", "Cluster"] == header[:3]
    assert [path, "n1", cluster_id] == row[:3]
    assert ["30", "0", "0"] == row[-3:]
    assert f"raftreg recover --from-this-node --data-dir {path}" in shown.stdout
    for words in ((), ("--yes-i-understand", "yes")):
        refused = recover("--from-this-node", "--data-dir", path, *words)
        assert 1 == refused.exit_code
        assert "nothing was changed: " in refused.stderr
    done = recover("--from-this-node", "--data-dir", path, "--yes-i-understand", cluster_id)
    assert 0 == done.exit_code, done.output
    assert "n1 is the only voter of the new cluster" in done.stdout
    assert cluster_id not in recover("--data-dir", path).stdout.splitlines()[1]


def test_recover_takes_the_directory_that_knows_most(tmp_path: Path) -> None:
    """Another of the same cluster that lags is refused while the better one is named."""
    behind, ahead = tmp_path / "behind", tmp_path / "ahead"
    cluster_id = on_node(ahead, write_some)
    behind.mkdir()
    for file in ahead.iterdir():
        if file.is_dir():
            (behind / file.name).mkdir()
            for inner in file.iterdir():
                (behind / file.name / inner.name).write_bytes(inner.read_bytes())
        else:
            (behind / file.name).write_bytes(file.read_bytes())
    on_node(ahead, write_some)
    both = ("--data-dir", str(behind), "--data-dir", str(ahead), "--yes-i-understand", cluster_id)
    refused = recover("--from-this-node", *both)
    assert 1 == refused.exit_code
    assert f"{ahead} knows more than {behind}" in refused.stderr
    assert f"to go on from it: raftreg recover --from-this-node --data-dir {ahead}" in recover(*both).stdout


def test_recover_tells_of_an_old_copy(tmp_path: Path) -> None:
    """What a peer found out about a directory is shown before anybody goes on from it."""
    path = tmp_path / "n1"
    on_node(path, write_some)
    assert "old copy" not in recover("--data-dir", str(path)).stdout
    identity = replace(read_identity(path), outdated="n2 refused this node: start 3 was seen")
    write_identity(path, identity, RealDisk())
    told = recover("--data-dir", str(path)).stdout
    assert f"note: {path} was found to be an old copy: n2 refused this node: start 3 was seen" in told


def test_recover_of_what_is_nothing(tmp_path: Path) -> None:
    """One line that names the directory."""
    result = recover("--data-dir", str(tmp_path))
    assert 1 == result.exit_code
    assert f"raftreg: {tmp_path}: not the data directory of a node" in result.stderr


def test_status_at_a_node_that_is_no_member(served: Served) -> None:
    """It says so, with what to run, rather than that there is no leader."""
    served.cluster.elect(None)  # None that it knows.
    del served.cluster.members["b.1"]
    result = served.invoke("status")
    assert 1 == result.exit_code
    assert "raftreg operator raft add b" in result.stdout
    assert "raftreg: b is no member: ask a node that is one; its own log says more\n" == result.stderr


def test_status_warns_of_an_even_number_of_voters(served: Served) -> None:
    """However it came about; a learner does not count."""
    served.cluster.strangers.clear()
    assert "note:" not in served.invoke("status").stdout
    served.cluster.members["d.9"] = peer("d", incarnation="9", voter=False)
    assert "note:" not in served.invoke("status").stdout
    served.cluster.members["d.9"] = peer("d", incarnation="9")
    assert "note: 4 voters survive the loss of 1, as 3 do" in served.invoke("status").stdout


def test_who_finds_no_leader_is_led_on(served: Served) -> None:
    """To the status, and that says who is missing."""
    served.cluster.elect(None)
    served.cluster.members |= {f"{name}.1": peer(name, silent_s=40) for name in ("a", "c")}
    assert "No cluster leader; raftreg status shows why\n" in served.run("list").stderr
    result = served.invoke("status")
    assert "note: no leader, since a, c of 3 voters cannot be reached and 2 are needed" in result.stdout
    assert "there is no leader: nothing can be written; the notes above say what to do\n" in result.stderr
