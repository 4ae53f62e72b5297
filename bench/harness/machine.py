"""What the machine says: CPU seconds and memory of processes, disk use of folders, and what machine it is (Linux)."""

import os
import platform
import time
from collections.abc import Iterable
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def cpu_s(pids: Iterable[int]) -> float:
    """CPU seconds that the processes have used, user and system."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def resident_mib(pid: int) -> float:
    """Resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * _PAGE / (1 << 20)


def disk_mib(folder: Path) -> float:
    """What the files below a folder take on the disk."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_blocks * 512
        except FileNotFoundError:
            continue  # A segment went while we looked.
    return total / (1 << 20)


def describe() -> dict[str, str]:
    """What a reader of the figures wants to know of the machine."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        if line.startswith("model name")
    ]
    memory = Path("/proc/meminfo").read_text("ascii").split()[1]
    return {
        "cores": f"{os.cpu_count()} ({models[0] if models else platform.machine()})",
        "memory": f"{int(memory) / (1 << 20):.0f} GiB",
        "system": platform.platform(),
        "python": platform.python_version(),
        "load before": f"{os.getloadavg()[0]:.2f}",
        "when": time.strftime("%Y-%m-%d %H:%M:%S %Z"),
    }
