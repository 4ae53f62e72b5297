"""What the consensus tests share."""

from pathlib import Path

import pysyncobj.syncobj
import pytest

from tests.consensus.worlds import FakeClock, Host


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """A clock that pysyncobj goes by as well."""
    fake = FakeClock()
    monkeypatch.setattr(pysyncobj.syncobj, "monotonicTime", fake.now)
    return fake


@pytest.fixture
def host(tmp_path: Path, clock: FakeClock) -> Host:
    """A member `a` of a, b, c, connected to both."""
    return Host(tmp_path / "a", clock)
