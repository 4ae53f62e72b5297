"""Which checks a node lets be registered: scripts with the operator's leave only, and nothing that it cannot probe."""

from dataclasses import replace
from typing import Literal

import pytest

from raftreg.api.check_kinds import SCRIPTS_DISABLED, refuse_unprobed
from raftreg.api.context import ApiContext
from raftreg.api.http import Request
from raftreg.checks import grpc
from raftreg.errors import Refused
from raftreg.model import Check
from tests.api.local_api import start_api
from tests.checks.targets import run


class From:
    """A connection from an address."""

    def __init__(self, address: str) -> None:
        self._address = address

    def get_extra_info(self, name: str, default: object = None) -> object:
        """The address, with a port."""
        return (self._address, 4711) if name == "peername" else default


async def refusal(scripts: Literal["off", "local", "any"], peer: str | None, kind: str) -> str:
    """What is said of a check of that kind that somebody registers; "" if it is let in."""
    context: ApiContext = replace((await start_api()).context, scripts=scripts)
    request = Request("PUT", "/", "/", connection=None if peer is None else From(peer))
    try:
        refuse_unprobed(context, request, (Check("n1", "c", "c", type=kind),))
    except Refused as error:
        return f"{error.status} {error.text}"
    return ""


def test_scripts_need_the_operators_leave() -> None:
    """Off by default; local means requests from this machine, and an unknown peer is none."""

    async def scenario() -> None:
        refused = f"500 {SCRIPTS_DISABLED}"
        assert refused == await refusal("off", "127.0.0.1", "script")
        assert ["", "", refused, refused] == [
            await refusal("local", peer, "script") for peer in ("127.0.0.1", "::1", "10.0.0.1", None)
        ]
        assert "" == await refusal("any", "10.0.0.1", "script")
        assert refused == await refusal("off", "127.0.0.1", "docker")

    run(scenario)


def test_what_cannot_be_probed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that would stay as it is for ever is not stored."""
    monkeypatch.setattr(grpc, "is_available", lambda: False)

    async def scenario() -> None:
        for kind, name in (("docker", "Docker"), ("h2ping", "H2PING"), ("os_service", "OSService")):
            said = await refusal("any", None, kind)
            assert said.startswith(f"400 Invalid check: {name} checks are not supported")
        assert f"400 Invalid check: {grpc.MISSING}" == await refusal("any", None, "grpc")
        assert ["", "", "", ""] == [
            await refusal("off", None, kind) for kind in ("http", "tcp", "ttl", "alias")
        ]

    run(scenario)
