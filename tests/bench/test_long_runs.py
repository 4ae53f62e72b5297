"""The long measurements told to stop in the middle of what they do to their nodes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.cluster import wait_until
from tests.verify.test_command import left_behind

PATIENCE_S = 120.0
LONG_RUNS = [
    ("faults", "--nodes", "3", "--rounds", "999", "--only", "power-cut:all"),
    ("members", "--only", "life"),
    ("soak", "--minutes", "9", "--disturb-every", "2"),
    ("conformance", "--rounds", "99", "--restart-every", "1"),
]


@pytest.mark.parametrize("line", LONG_RUNS, ids=lambda line: line[0])
def test_told_to_stop_it_ends_everything(tmp_path: Path, line: tuple[str, ...]) -> None:
    """Exit code 130; no process, no mount and no file stays."""
    name, *arguments = line
    process = subprocess.Popen(
        [sys.executable, "-m", f"bench.{name}", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(tmp_path)},
    )
    wait_until("nodes run", lambda: any("-m raftreg agent" in text for text in left_behind(tmp_path)))
    time.sleep(3.0)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=PATIENCE_S)
    assert 130 == process.returncode, said
    assert "stopped: everything was ended" == said.splitlines()[-1]
    assert [] == left_behind(tmp_path)
    assert str(tmp_path) not in Path("/proc/mounts").read_text()
