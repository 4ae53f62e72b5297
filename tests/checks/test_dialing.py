"""Dialing when this process has no file left: what it lacks is not the target's fault."""

import contextlib
import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from raftreg.checks.dialing import NotProbed
from raftreg.checks.tls import TLSContexts
from tests.checks.targets import CERTIFICATE, Target, probed, run


@contextlib.contextmanager
def no_file_left() -> Iterator[None]:
    """Meanwhile this process can open no more files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held: list[int] = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        with contextlib.suppress(OSError):
            while True:
                held.append(os.dup(0))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for each in held:
            os.close(each)


@pytest.mark.parametrize(
    ("kind", "option", "target"),
    [
        ("tcp", "TCP", "127.0.0.1:{}"),
        ("udp", "UDP", "127.0.0.1:{}"),
        ("http", "HTTP", "http://127.0.0.1:{}/"),
        ("tcp", "TCP", "localhost:{}"),
    ],
)
def test_a_target_is_not_critical_because_this_node_has_no_file_left(
    kind: str, option: str, target: str
) -> None:
    """The probe says that it could not ask, also where a name is to be looked up first."""

    async def scenario() -> None:
        async with Target(b"").listening() as listening:
            options: dict[str, Any] = {option: target.format(listening.port)}
            with no_file_left(), pytest.raises(NotProbed, match="too many open files"):
                await probed(kind, **options)

    run(scenario)


def test_certificates_that_cannot_be_read_for_a_while_are_read_later(tmp_path: Path) -> None:
    """Nothing that went wrong once is kept: the next probe has the context."""

    async def scenario() -> None:
        path = tmp_path / "ca.pem"
        contexts = TLSContexts(path)
        with pytest.raises(NotProbed, match="cannot be read"):
            await contexts.get(skip_verify=False)
        path.write_bytes(CERTIFICATE.read_bytes())
        with no_file_left(), pytest.raises(NotProbed, match="too many open files"):
            await contexts.get(skip_verify=False)
        context = await contexts.get(skip_verify=False)
        assert context is await contexts.get(skip_verify=False)

    run(scenario)
