"""Where `install.sh` has put the clients, and the mark that skips a test when one is not there."""

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = ROOT / ".clients"
CONSUL = CLIENTS / "consul" / "usr" / "bin" / "consul"
PROMETHEUS = CLIENTS / "prometheus" / "usr" / "bin" / "prometheus"
HAPROXY = CLIENTS / "haproxy"
POSTGRES = Path("/usr/lib/postgresql/15/bin")
LONG = "RAFTREG_CLIENTS"  # set to `all`, the clients whose tests take longer run too


def needs(*names: str) -> pytest.MarkDecorator:
    """Skip the test unless these clients were fetched."""
    missing = [name for name in names if not (CLIENTS / name / "installed").exists()]
    return pytest.mark.skipif(
        bool(missing), reason=f"not fetched: {', '.join(missing)}; run tests/clients/install.sh"
    )


def needs_program(path: str | Path) -> pytest.MarkDecorator:
    """Skip the test unless this program is installed."""
    return pytest.mark.skipif(shutil.which(str(path)) is None, reason=f"{path} is not installed")


def takes_long() -> pytest.MarkDecorator:
    """Skip the test unless the long ones are wanted."""
    return pytest.mark.skipif(
        os.environ.get(LONG) != "all", reason=f"takes long: set {LONG}=all or use tests/run.sh --clients"
    )


def python_of(name: str) -> Path:
    """The interpreter of a client that lives in a virtual environment."""
    return CLIENTS / name / "bin" / "python"
