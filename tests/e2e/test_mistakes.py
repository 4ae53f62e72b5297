"""What an operator gets to see for each mistake: an exit code and one line that says what to do."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.e2e.cluster import Cluster, Node, free_ports, wait_until

# Where a batch begins in the log; behind the last one stands a header without records.
BATCH_MAGIC = b"\xf3WB\xa6"
STAYS_OUT_S = 2.0  # several times what a node that is let in needs to get ready


def run_agent(*arguments: str, environ: Mapping[str, str] | None = None) -> tuple[int, list[str]]:
    """Run `raftreg agent` to its end; its exit code and what it wrote to standard error."""
    ended = subprocess.run(
        [sys.executable, "-m", "raftreg", "agent", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), **(environ or {})},
        check=False,
    )
    assert "" == ended.stdout
    return ended.returncode, ended.stderr.splitlines()


def refused(code: int, lines: list[str], *, expected: int = 1) -> str:
    """The last line of a start that was refused as it should be: exit code, one error, no traceback."""
    assert expected == code, lines
    errors = [
        line for line in lines if "ERROR" in line or "Traceback" in line or line.startswith("raftreg: ")
    ]
    assert 1 == len(errors), lines
    assert errors == lines[-1:]
    return errors[0]


def ended(node: Node) -> str:
    """The last line of a node that was started and must have refused."""
    code = node.wait()
    return refused(code, node.log.read_text().splitlines())


def single(folder: Path, **settings: str) -> Cluster:
    """A cluster of one node."""
    return Cluster(folder, 1, **settings)


def put(node: Node, key: str, value: bytes = b"v") -> int:
    """Write; the status of the answer."""
    return node.put(f"/v1/kv/{key}", value, timeout_s=20.0).status


class TestCommandLine:
    """Mistakes in settings, which end the process before it touches anything."""

    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            (["--node", "n9"], 'this node, "n9", is not among n1, n2'),
            (["--peers", "n1=127.0.0.1:1,N1=127.0.0.1:2"], '"N1" is there twice'),
            (["--peers", "n1=127.0.0.1:1,n2=127.0.0.1:1"], "n1 and n2 have the same address 127.0.0.1:1"),
            (["--write-timeout", "10"], 'bad duration "10": write a number with a unit'),
            (["--raft", "0.0.0.0:8300"], "make one with raftreg keygen"),
            (["--http", "8500"], 'bad address "8500": write host:port'),
        ],
    )
    def test_a_bad_setting_is_one_line_and_wrong_usage(
        self, tmp_path: Path, changes: list[str], expected: str
    ) -> None:
        """The line names the flag and what is wrong with it."""
        arguments = [
            "--node",
            "n1",
            "--data-dir",
            str(tmp_path / "d"),
            "--peers",
            "n1=127.0.0.1:1,n2=127.0.0.1:2",
        ]
        code, lines = run_agent(*arguments, *changes)
        assert 1 == len(lines)
        assert expected in refused(code, lines, expected=2)
        assert not (tmp_path / "d").exists()

    def test_an_unknown_key_of_the_file_asks_did_you_mean(self, tmp_path: Path) -> None:
        """A misspelt key is an error that names the right one."""
        file = tmp_path / "raftreg.toml"
        file.write_text('node = "n1"\nwrite-timout = "1s"\n')
        code, lines = run_agent("--config", str(file))
        assert f'raftreg: {file}: unknown key "write-timout": did you mean "write-timeout"?' == refused(
            code, lines, expected=2
        )

    def test_a_missing_setting_is_wrong_usage(self) -> None:
        """The line says how it can be given: as a flag, a variable, or in the file."""
        line = refused(*run_agent("--http", "127.0.0.1:1"), expected=2)
        assert (
            "raftreg: node is missing: give --node NAME (or RAFTREG_NODE, or node in the configuration file)"
            == line
        )

    def test_an_unknown_flag_is_wrong_usage(self) -> None:
        """Exit code 2 tells a mistyped command from one that failed."""
        code, lines = run_agent("--nod", "n1")
        assert 2 == code
        assert "--node" in lines[-1]


class TestPorts:
    """Somebody else is there already."""

    @pytest.mark.parametrize("flag", ["--http", "--raft"])
    def test_a_taken_port_names_address_and_holder(self, tmp_path: Path, flag: str) -> None:
        """The line says which address is taken, by which process, and which flag to change."""
        ports = free_ports(2)
        with socket.create_server(("127.0.0.1", 0)) as holder:
            taken = holder.getsockname()[1]
            addresses = {"--http": f"127.0.0.1:{ports[0]}", "--raft": f"127.0.0.1:{ports[1]}"}
            addresses[flag] = f"127.0.0.1:{taken}"
            arguments = [text for pair in addresses.items() for text in pair]
            peers = f"n1={addresses['--raft']},n2=127.0.0.1:1,n3=127.0.0.1:2"
            data = str(tmp_path / "d")
            line = refused(*run_agent("--node", "n1", "--data-dir", data, "--peers", peers, *arguments))
        assert f"127.0.0.1:{taken} is taken" in line
        assert flag in line
        assert not sys.platform.startswith("linux") or f"process {os.getpid()}" in line


class TestDataDirectories:
    """A data directory is an identity."""

    def test_a_directory_that_a_running_node_holds(self, cluster: Cluster) -> None:
        """The second process is refused, and the first does not notice."""
        node = cluster["n1"]
        arguments = list(node.arguments)
        for flag, port in zip(("--http", "--raft"), free_ports(2), strict=True):
            arguments[arguments.index(flag) + 1] = f"127.0.0.1:{port}"
        line = refused(*run_agent(*arguments))
        assert str(node.data) in line
        wait_until("the first is ready", node.is_ready)

    def test_a_directory_of_another_node(self, tmp_path: Path) -> None:
        """Both names are in the line."""
        with single(tmp_path) as cluster:
            cluster.start()
            node = cluster["n1"]
            node.kill()
            raft = node.arguments[node.arguments.index("--raft") + 1]
            node.arguments += ["--node", "other", "--peers", f"other={raft}"]
            node.log.unlink()
            node.start()
            line = ended(node)
        assert "n1" in line
        assert "other" in line
        assert str(node.data) in line

    def test_a_directory_of_another_cluster(self, cluster: Cluster, tmp_path: Path) -> None:
        """The peers refuse it with both clusters named, and go on."""
        with single(tmp_path / "stranger") as stranger:
            stranger.start()
            theirs = stranger["n1"].status()["ClusterID"]
            stranger["n1"].kill()
            node = cluster["n1"]
            ours = node.status()["ClusterID"]
            node.kill()
            shutil.rmtree(node.data)
            shutil.copytree(stranger["n1"].data, node.data)
        node.log.unlink()
        node.start()
        line = ended(node)
        assert theirs in line
        assert ours in line
        assert 200 == put(cluster["n2"], "still")

    def test_a_file_in_place_of_the_directory(self, tmp_path: Path) -> None:
        """What cannot be written is named."""
        (tmp_path / "file").write_text("")
        with single(tmp_path / "c", data_dir=str(tmp_path / "file" / "d")) as cluster:
            cluster["n1"].start()
            line = ended(cluster["n1"])
        assert str(tmp_path / "file") in line


class TestWarnings:
    """What is allowed and probably not meant."""

    def test_a_single_node_is_warned_about_and_runs(self, tmp_path: Path) -> None:
        """One node replicates nothing, and says so once."""
        with single(tmp_path) as cluster:
            cluster.start()
            assert 1 == cluster["n1"].log.read_text().count("peers names this node alone")
            assert 200 == put(cluster["n1"], "k")

    def test_two_nodes_are_warned_about_and_run(self, tmp_path: Path) -> None:
        """An even number survives no more than one less."""
        with Cluster(tmp_path, 2) as cluster:
            cluster.start()
            assert "peers names 2 nodes, an even number" in cluster["n1"].log.read_text()
            assert 200 == put(cluster["n2"], "k")

    def test_a_key_file_that_others_can_read_is_warned_about(self, tmp_path: Path) -> None:
        """The nodes start, and each says which file to protect."""
        key = tmp_path / "cluster.key"
        subprocess.run([sys.executable, "-m", "raftreg", "keygen", str(key)], check=True, capture_output=True)
        key.chmod(0o644)
        with Cluster(tmp_path / "c", cluster_key_file=str(key)) as cluster:
            cluster.start()
            assert f"{key} can be read by others" in cluster["n1"].log.read_text()

    def test_a_node_with_another_key_is_not_let_in(self, tmp_path: Path) -> None:
        """The cluster goes on without it, and it never gets ready."""
        for name in ("ours", "theirs"):
            subprocess.run(
                [sys.executable, "-m", "raftreg", "keygen", str(tmp_path / name)],
                check=True,
                capture_output=True,
            )
        with Cluster(tmp_path / "c", cluster_key_file=str(tmp_path / "ours")) as cluster:
            cluster.start()
            node = cluster["n3"]
            node.kill()
            node.arguments += ["--cluster-key-file", str(tmp_path / "theirs")]
            node.start()
            mismatch = "the cluster keys of the two nodes differ"
            wait_until("the mismatch is logged", lambda: mismatch in node.said())
            until = time.monotonic() + STAYS_OUT_S
            while time.monotonic() < until:
                assert not node.is_ready()
                time.sleep(0.1)
            assert 200 == put(cluster["n1"], "k")


class TestDamage:
    """Files that are not what was written."""

    def test_a_damaged_middle_of_the_log_is_refused_with_file_and_offset(self, tmp_path: Path) -> None:
        """Going on would forget what was acknowledged."""
        with single(tmp_path) as cluster:
            cluster.start()
            node = cluster["n1"]
            for number in range(50):
                assert 200 == put(node, f"key/{number}", b"x" * 1000)
            node.kill()
            segment = newest_segment(node)
            content = bytearray(segment.read_bytes())
            position = content.index(b"key/25")
            content[position] ^= 0xFF
            segment.write_bytes(content)
            node.log.unlink()
            node.start()
            line = ended(node)
        assert str(segment) in line
        assert "offset" in line

    def test_a_torn_tail_is_cut_with_one_warning(self, tmp_path: Path) -> None:
        """Half a batch at the end was never acknowledged: the node starts with all that was."""
        with single(tmp_path) as cluster:
            cluster.start()
            node = cluster["n1"]
            for number in range(20):
                assert 200 == put(node, f"key/{number}")
            node.kill()
            tear(newest_segment(node))
            node.log.unlink()
            cluster.start()
            assert 20 == len(node.get("/v1/kv/key/?keys").json())
            warnings = [
                line for line in node.log.read_text().splitlines() if "WARNING" in line and "log" in line
            ]
            assert 1 == len([line for line in warnings if str(node.data) in line]), warnings


def newest_segment(node: Node) -> Path:
    """The file of the write-ahead log that was written last."""
    return max((node.data / "log").iterdir(), key=lambda path: path.name)


def tear(segment: Path) -> None:
    """Spoil what stands behind the last batch, as a crash in the middle of the next write would leave it."""
    content = bytearray(segment.read_bytes())
    behind = content.rindex(BATCH_MAGIC)
    content[behind + 20 : behind + 60] = b"Z" * 40
    segment.write_bytes(content)
