"""What is done about nodes that do not serve when a run begins."""

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner

from raftreg.addresses import Address
from raftreg.cli.root import raftreg
from raftreg.clock import SystemClock
from raftreg.verify import readiness
from raftreg.verify.caller import World
from raftreg.verify.judge import RECOVERY
from raftreg.verify.options import CannotVerify, Options
from raftreg.verify.record import Record
from raftreg.verify.remote import Remote
from raftreg.verify.run import verify
from raftreg.verify.summary import document
from raftreg.verify.verdict import Outcome, all_passed
from tests.e2e.cluster import free_ports
from tests.verify.server import Cluster


class WithAbsent(Cluster):
    """A correct cluster of three, and the address of a fourth node at which nothing listens."""

    async def open(self) -> None:
        """See `Cluster`."""
        await super().open()
        self.urls = {**self.urls, "n4": Address("127.0.0.1", free_ports(1)[0])}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for nodes to come."""
    monkeypatch.setattr(readiness, "ABSENT_S", 0.2)
    monkeypatch.setattr(readiness, "START_TIMEOUT_S", 1.0)


def test_where_nothing_listens_nothing_is_verified(tmp_path: Path) -> None:
    """Said of each address, with a hint, in seconds; exit code 1, and no page."""
    one, other = free_ports(2)
    page = tmp_path / "page.html"
    arguments = ["verify", "--http", f"127.0.0.1:{one},127.0.0.1:{other}", "--report", str(page)]
    clock = SystemClock()
    began = clock.now()
    result = CliRunner().invoke(raftreg, arguments)
    assert 1 == result.exit_code
    for port in (one, other):
        assert f"nothing listens at http://127.0.0.1:{port} (connection refused)" in result.output
    assert "is a node running there?" in result.output
    assert clock.now() - began < 30.0
    assert not page.exists()


@pytest.mark.usefixtures("impatient")
def test_one_of_several_may_be_absent() -> None:
    """The others are verified; that every node serves has no evidence then, and the reason names the address."""
    cluster = WithAbsent()
    options = Options(1.0, workloads=("set",), rate=0.0, settle_s=0.5, urls={"n1": Address("127.0.0.1", 1)})
    finished = verify(options, cluster, lambda progress: None)
    outcomes = {verdict.check: verdict.outcome for verdict in finished.verdicts}
    assert Outcome.EMPTY == outcomes.pop(RECOVERY)
    assert {Outcome.PASS} == set(outcomes.values())
    assert not all_passed(finished.verdicts)
    (text,) = [verdict.text for verdict in finished.verdicts if verdict.check == RECOVERY]
    assert f"n4 took no part: nothing listens at http://{cluster.urls['n4']}" in text
    told = document(finished.run, finished.verdicts, None)
    assert (["n1", "n2", "n3"], ["n4"]) == (told["nodes"], list(told["absent"]))


@pytest.mark.usefixtures("impatient")
def test_a_node_that_is_there_and_does_not_serve_is_told_with_its_words() -> None:
    """Such as one without a leader: it is no absent one, and the others are not verified without it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 500 Oops\r\nContent-Length: 17\r\nConnection: close\r\n\r\nNo cluster leader")
        writer.close()

    async def work() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        address = Address("127.0.0.1", server.sockets[0].getsockname()[1])
        target = Remote({"n1": address})
        world = World(target.nodes, SystemClock(), Record(), 1.0, "p")
        async with server:
            await readiness.wait_until_served(world, target, may_be_absent=True)

    with pytest.raises(CannotVerify, match="does not serve within 1 s: it answers 500: No cluster leader"):
        asyncio.run(work())
