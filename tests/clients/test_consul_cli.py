"""The `consul` command of Consul 1.8.7, pointed at a cluster of raftreg."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.fetched import CONSUL, needs
from tests.e2e.cluster import Cluster, wait_until

pytestmark = needs("consul")
Run = Callable[..., str]


def _environ(cluster: Cluster, node: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "CONSUL_HTTP_ADDR": f"127.0.0.1:{cluster[node].http}"}


@pytest.fixture
def consul(trio: Cluster) -> Run:
    """Run a subcommand; what it printed. AssertionError unless it ends with 0, or with the `code` that is named."""

    def run(*words: str, via: str = "n2", code: int = 0, stdin: str = "") -> str:
        done = subprocess.run(
            [str(CONSUL), *words],
            env=_environ(trio, via),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert code == done.returncode, f"consul {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    return run


def test_kv(consul: Run) -> None:
    """Keys are written through one node and read through another, with every option of the command."""
    consul("kv", "put", "-flags=42", "cli/a", "hello", via="n1")
    assert "hello\n" == consul("kv", "get", "cli/a", via="n3")
    assert "cli/a:hello\n" == consul("kv", "get", "-recurse", "cli/")
    assert "cli/\n" == consul("kv", "get", "-keys", "-separator=/", "cl")
    detailed = dict(line.split(maxsplit=1) for line in consul("kv", "get", "-detailed", "cli/a").splitlines())
    assert ("42", "hello", "-") == (detailed["Flags"], detailed["Value"], detailed["Session"])
    index = detailed["ModifyIndex"]
    consul("kv", "put", "-cas", f"-modify-index={index}", "cli/a", "changed")
    consul("kv", "put", "-cas", f"-modify-index={index}", "cli/a", "again", code=1)
    assert "changed\n" == consul("kv", "get", "-stale", "cli/a", via="n2")
    exported = consul("kv", "export", "cli/")
    consul("kv", "delete", "-recurse", "cli/")
    assert "No key exists" in consul("kv", "get", "cli/a", code=1)
    consul("kv", "import", "-", stdin=exported)
    assert "changed\n" == consul("kv", "get", "cli/a", via="n3")


def test_catalog_and_services(consul: Run) -> None:
    """Services registered by the command are in its catalog, at every node."""
    consul("services", "register", "-name=cliweb", "-port=80", "-address=10.0.0.5", "-tag=blue", via="n1")
    listed = consul("catalog", "services", "-tags", via="n3")
    assert ["cliweb", "blue"] in [line.split() for line in listed.splitlines()]
    nodes = [line.split()[0] for line in consul("catalog", "nodes").splitlines()[1:]]
    assert {"n1", "n2", "n3"} == set(nodes)
    assert "n1" in consul("catalog", "nodes", "-service=cliweb")
    assert "dc1\n" == consul("catalog", "datacenters")
    consul("services", "deregister", "-id=cliweb", via="n1")
    assert "cliweb" not in consul("catalog", "services")


def test_members_and_raft(consul: Run) -> None:
    """`members` and `operator raft list-peers` show the cluster as it is; there is one leader."""
    assert 3 == consul("members").count("alive")
    peers = consul("operator", "raft", "list-peers").splitlines()[1:]
    assert {"n1", "n2", "n3"} == {line.split()[0] for line in peers}
    assert 1 == sum("leader" in line.split() for line in peers)
    assert "CleanupDeadServers" in consul("operator", "autopilot", "get-config")
    assert "raft" in consul("info")


def test_maintenance(consul: Run) -> None:
    """`maint` puts node and service into maintenance and takes them out again."""
    consul("maint", "-enable", "-reason=cables", via="n3")
    assert "cables" in consul("maint", via="n3")
    consul("maint", "-disable", via="n3")
    assert "cables" not in consul("maint", via="n3")


def test_event(consul: Run) -> None:
    """`event` fires one that a watcher of events then gets."""
    assert "Event ID: " in consul("event", "-name=deploy", "payload")
    assert "deploy" in consul("watch", "-type=event", "-name=deploy")


def test_snapshot_goes_out_and_comes_back(consul: Run, tmp_path: Path) -> None:
    """`snapshot save`, `inspect` and `restore` take the archives of raftreg for Consul's."""
    saved = str(tmp_path / "saved.snap")
    consul("kv", "put", "snap/kept", "1")
    assert "Saved and verified snapshot" in consul("snapshot", "save", saved, via="n1")
    assert "Index" in consul("snapshot", "inspect", saved)
    consul("kv", "put", "snap/lost", "1")
    assert "Restored snapshot" in consul("snapshot", "restore", saved, via="n3")
    assert "snap/kept\n" == consul("kv", "get", "-keys", "snap/")


def test_lock_lets_one_in_at_a_time(trio: Cluster, consul: Run, tmp_path: Path) -> None:
    """While `lock` holds the lock another one waits; it gets it when the first command ends."""
    sign, go = tmp_path / "held", tmp_path / "go"
    script = f"touch {sign}; while [ ! -e {go} ]; do sleep 0.1; done"
    holder = subprocess.Popen(
        [str(CONSUL), "lock", "-child-exit-code", "cli/lock", script],
        env=_environ(trio, "n1"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until("the lock is held", sign.exists)
        consul("lock", "-timeout=1s", "cli/lock", "true", via="n3", code=1)
        go.touch()
        assert 0 == holder.wait(timeout=30)
        assert "mine" in consul("lock", "-timeout=30s", "cli/lock", "echo mine", via="n3")
    finally:
        go.touch()
        holder.wait(timeout=30)


def test_watch_runs_its_handler_on_a_change(trio: Cluster, consul: Run, tmp_path: Path) -> None:
    """A watch of a key at one node calls its handler when the key is written through another."""
    seen = tmp_path / "seen"
    watcher = subprocess.Popen(
        [str(CONSUL), "watch", "-type=key", "-key=cli/watched", f"cat >> {seen}"],
        env=_environ(trio, "n2"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until("the watch has begun", seen.exists)
        consul("kv", "put", "cli/watched", "news", via="n1")
        wait_until("the handler has run", lambda: "cli/watched" in seen.read_text())
        assert "bmV3cw==" in seen.read_text()
    finally:
        watcher.terminate()
        watcher.wait(timeout=30)
