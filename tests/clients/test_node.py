"""The npm package `consul` 2.0.1."""

import os
import subprocess
from pathlib import Path

from tests.clients.fetched import CLIENTS, needs, needs_program
from tests.e2e.cluster import Cluster

pytestmark = [needs("node"), needs_program("node")]


def test_node_client_works_across_nodes(trio: Cluster) -> None:
    """Keys with blanks and slashes that it percent-encodes, watches, locks, services, events and transactions."""
    script = Path(__file__).with_name("client.js")
    done = subprocess.run(
        ["node", str(script), str(trio["n1"].http), str(trio["n2"].http)],
        env={"PATH": os.environ["PATH"], "NODE_PATH": str(CLIENTS / "node" / "node_modules")},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (0, "held\n") == (done.returncode, done.stdout), done.stderr
