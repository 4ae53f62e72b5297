"""Patroni 3.0.2 with PostgreSQL 15: databases elect their leader through raftreg, again after kill -9."""

import json
import os
import pwd
import shutil
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.clients.fetched import POSTGRES, needs, needs_program, python_of, takes_long
from tests.e2e.cluster import Cluster, Node, free_ports, wait_until

pytestmark = [needs("patroni"), needs_program(POSTGRES / "postgres"), takes_long()]
_WAIT_S = 120.0
_CONFIG = """
scope: pgtest
name: {name}
restapi: {{listen: "127.0.0.1:{rest}", connect_address: "127.0.0.1:{rest}"}}
consul: {{host: "127.0.0.1:{http}", register_service: true}}
bootstrap:
  dcs: {{ttl: 20, loop_wait: 2, retry_timeout: 5}}
  initdb: [{{encoding: UTF8}}, {{auth: trust}}]
  pg_hba: ["host all all 127.0.0.1/32 trust", "host replication all 127.0.0.1/32 trust"]
postgresql:
  listen: 127.0.0.1:{port}
  connect_address: 127.0.0.1:{port}
  data_dir: {folder}/data
  bin_dir: {binaries}
  pgpass: {folder}/pgpass
  authentication: {{superuser: {{username: postgres}}, replication: {{username: postgres}}}}
  parameters: {{unix_socket_directories: {folder}, fsync: "off", shared_buffers: 16MB, max_connections: 20}}
"""


@dataclass(slots=True)
class Database:
    """One Patroni with its PostgreSQL."""

    name: str
    folder: Path
    rest: int
    port: int
    process: subprocess.Popen[bytes] = field(repr=False)

    def role(self) -> str:
        """What its REST interface says that it is, "" while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.rest}/patroni", timeout=5) as answer:
                status: Any = json.loads(answer.read())
        except (OSError, ValueError):
            return ""
        return str(status["role"]) if status.get("state") == "running" else ""

    def sql(self, statement: str) -> str:
        """Run a statement; what it gave. AssertionError if it failed."""
        command = [str(POSTGRES / "psql"), "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-Atc"]
        done = subprocess.run([*command, statement], capture_output=True, text=True, timeout=30, check=False)
        assert 0 == done.returncode, done.stderr
        return done.stdout.strip()

    def kill(self) -> None:
        """kill -9 of Patroni and of its PostgreSQL."""
        pid_file = self.folder / "data" / "postmaster.pid"
        self.process.kill()
        self.process.wait(timeout=30)
        if pid_file.exists():
            os.kill(int(pid_file.read_text().split()[0]), signal.SIGKILL)


def _as_whom() -> tuple[str, ...]:
    """How to run as somebody else, for root: PostgreSQL refuses it. What root may read stays readable."""
    if os.geteuid() != 0:
        return ()
    user = pwd.getpwnam("postgres")
    reading = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    return ("setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", *reading)


def _start(name: str, folder: Path, http: int) -> Database:
    folder.mkdir()
    rest, port = free_ports(2)
    text = _CONFIG.format(name=name, rest=rest, http=http, port=port, folder=folder, binaries=POSTGRES)
    (folder / "patroni.yml").write_text(text)
    if os.geteuid() == 0:
        owner = pwd.getpwnam("postgres")
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    with (folder.parent / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [*_as_whom(), str(python_of("patroni").with_name("patroni")), str(folder / "patroni.yml")],
            env={"PATH": os.environ["PATH"], "HOME": str(folder)},
            cwd="/",
            stdout=log,
            stderr=log,
        )
    return Database(name, folder, rest, port, process)


@pytest.fixture
def databases(trio: Cluster) -> Iterator[list[Database]]:
    """Three databases, each with another node of raftreg; below /tmp, where their user may go."""
    home = Path("/tmp") / f"raftreg-patroni-{os.getpid()}"
    home.mkdir(mode=0o755)
    trio["n1"].request("DELETE", "/v1/kv/service/pgtest/?recurse")
    started: list[Database] = []
    try:
        for number, node in enumerate(trio.nodes.values(), start=1):
            started.append(_start(f"pg{number}", home / f"pg{number}", node.http))
        yield started
    except BaseException:
        for path in sorted(home.glob("*.log")):
            print(f"--- {path.name}\n{path.read_text(errors='replace')[-3000:]}")
        raise
    finally:
        for database in started:
            if database.process.poll() is None:
                database.kill()
        shutil.rmtree(home, ignore_errors=True)


def _leader(databases: list[Database]) -> Database | None:
    roles = {database.name: database.role() for database in databases}
    leading = [database for database in databases if roles[database.name] == "master"]
    return leading[0] if len(leading) == 1 else None


def _lock(node: Node) -> str:
    """Who has the lock of the leader, by a node of raftreg; "" if nobody has."""
    return node.get("/v1/kv/service/pgtest/leader?raw").text


@pytest.mark.timeout(600)
def test_another_database_leads_when_the_leader_dies(trio: Cluster, databases: list[Database]) -> None:
    """The members find each other in raftreg; after kill -9 of the leader another one is promoted, and has all rows."""
    old = wait_until("a database leads", lambda: _leader(databases), _WAIT_S)
    others = [database for database in databases if database is not old]
    wait_until("the others follow", lambda: all(each.role() == "replica" for each in others), _WAIT_S)
    old.sql("CREATE TABLE rows (n int); INSERT INTO rows SELECT generate_series(1, 1000)")
    wait_until("the others have the rows", lambda: all(_rows(each) == "1000" for each in others), _WAIT_S)
    old.kill()
    new = wait_until("another one leads", lambda: _leader(others), _WAIT_S)
    assert "1000" == new.sql("SELECT count(*) FROM rows")
    new.sql("INSERT INTO rows VALUES (1001)")
    wait_until("it has the lock", lambda: _lock(trio["n1"]) == new.name, _WAIT_S)


@pytest.mark.timeout(600)
def test_databases_bear_the_death_of_a_node_of_raftreg(trio: Cluster, databases: list[Database]) -> None:
    """While the leader of raftreg is killed, the leading database keeps its lock and goes on."""
    leading = wait_until("a database leads", lambda: _leader(databases), _WAIT_S)
    node = trio.leader()
    served_by = {f"pg{number}": each for number, each in enumerate(trio.nodes.values(), start=1)}
    door = served_by[leading.name]
    if door is node:  # its own door may stay open: what dies is the leader behind it
        node = trio.followers()[0]
    # A database leads for itself before it has told the others.
    wait_until("it has the lock", lambda: _lock(door) == leading.name, _WAIT_S)
    node.kill()
    try:
        leading.sql("CREATE TABLE survivors (n int)")
        wait_until("it still leads", lambda: leading.role() == "master", 30)
        assert leading.name == _lock(door)
    finally:
        trio.start(node.name)


def _rows(database: Database) -> str:
    try:
        return database.sql("SELECT count(*) FROM rows")
    except AssertionError:
        return ""
