"""What a node must not load to start, for it takes a good part of a restart."""

import json
import subprocess
import sys

AGENT = """
import json, sys
import raftreg.cli, raftreg.cli.agent, raftreg.server, raftreg.consensus.node
print(json.dumps(sorted(sys.modules)))
"""
# With the client side of aiohttp come the certificates that it trusts; the other commands of `raftreg` bring email,
# http.client and the verifier.
NEEDLESS = {
    "aiohttp.client",
    "aiohttp.connector",
    "aiohttp.web",
    "argparse",
    "h2",
    "matplotlib",
    "raftreg.cli.client",
    "raftreg.cli.verify",
    "raftreg.verify",
    "tarfile",
}
LATER = """
import raftreg.api.listener
import aiohttp
from aiohttp import web
assert issubclass(aiohttp.ClientSession, object)
assert aiohttp.__version__
assert web.Server is raftreg.api.listener.web.Server
"""


def _python(code: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_a_node_starts_without_what_only_clients_need() -> None:
    """The modules that a node has loaded when it begins to start."""
    assert set() == NEEDLESS & set(json.loads(_python(AGENT)))


def test_the_rest_of_aiohttp_comes_when_it_is_asked_for() -> None:
    """Whoever imports aiohttp in the process of a node gets all of it, with the same classes."""
    assert "" == _python(LATER)
