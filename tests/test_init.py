"""`raftreg init`: one cluster in one empty directory, once."""

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner

from raftreg.cli.root import raftreg
from raftreg.clock import SystemClock
from raftreg.consensus.node import RaftNode, RaftSettings
from tests.consensus.worlds import ListMachine
from tests.e2e.cluster import free_ports


def init(path: Path, *more: str) -> tuple[int, str]:
    """Exit code, and all that is said."""
    result = CliRunner(env={}).invoke(raftreg, ["init", "--node", "n1", "--data-dir", str(path), *more])
    return result.exit_code, result.output


def test_it_makes_a_cluster_that_a_node_then_leads(tmp_path: Path) -> None:
    """The node knows its cluster without peers, and is its only voter at the address that was given."""
    address = ("127.0.0.1", free_ports(1)[0])
    code, told = init(tmp_path / "data", "--raft", f"127.0.0.1:{address[1]}")
    assert 0 == code, told
    assert f"raftreg agent --node n1 --data-dir {tmp_path / 'data'} --raft 127.0.0.1:{address[1]}" in told
    assert f"--join 127.0.0.1:{address[1]}" in told

    async def scenario() -> None:
        settings = RaftSettings("n1", tmp_path / "data", address, {}, None)
        node, moved = RaftNode(settings, ListMachine(), SystemClock(), lambda error: None), asyncio.Event()
        node.on_change(moved.set)
        await node.start()
        try:
            async with asyncio.timeout(10):
                while node.status().role != "leader":
                    await moved.wait()
                    moved.clear()
            await node.propose(b"x")
            assert node.status().cluster_id in told
            assert [f"127.0.0.1:{address[1]}"] == [peer.address for peer in node.status().peers]
        finally:
            await node.stop()

    asyncio.run(scenario())


def test_a_directory_that_is_not_empty_is_refused(tmp_path: Path) -> None:
    """Neither a second cluster nor anything else is made, and it says what to do."""
    assert 0 == init(tmp_path / "data")[0]
    before = (tmp_path / "data" / "meta").read_bytes()
    code, told = init(tmp_path / "data")
    assert 1 == code
    assert "is not empty. If a node has run on it, just start that" in told
    assert before == (tmp_path / "data" / "meta").read_bytes()


def test_a_node_that_never_had_a_cluster_may_make_one(tmp_path: Path) -> None:
    """It was started too early, or the first attempt was cut off: it would be told to run this, so this has to work."""
    settings = RaftSettings(
        "n1", tmp_path / "data", ("127.0.0.1", free_ports(1)[0]), {}, None, join=(("127.0.0.1", 1),)
    )

    async def wait_in_vain() -> None:
        node = RaftNode(settings, ListMachine(), SystemClock(), lambda error: None)
        await node.start()
        await node.stop()

    asyncio.run(wait_in_vain())
    code, told = init(tmp_path / "data")
    assert (0, True) == (code, "made cluster" in told)
    assert 1 == init(tmp_path / "data")[0]


def test_the_root_of_a_file_system_is_empty(tmp_path: Path) -> None:
    """Many have a directory lost+found in it, which is nobody's data."""
    (tmp_path / "lost+found").mkdir()
    assert 0 == init(tmp_path)[0]
    assert {"lost+found", "lock", "meta"} == {file.name for file in tmp_path.iterdir()}


@pytest.mark.parametrize("variable", ["RAFTREG_PEERS", "RAFTREG_JOIN"])
def test_who_has_others_to_begin_with_needs_no_init(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A unit file that names peers makes its cluster with them."""
    monkeypatch.setenv(variable, "n1=h:1,n2=h:2,n3=h:3" if variable == "RAFTREG_PEERS" else "h:1")
    code, told = init(tmp_path / "data")
    assert 2 == code
    assert "leave them out" in told
    assert not (tmp_path / "data").exists()
