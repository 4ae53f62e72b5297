"""One server process of a target: started, stopped, killed and paused by its pid."""

import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

STOP_TIMEOUT_S = 30.0


@dataclass(slots=True)
class ServerProcess:
    """`http` is where clients reach it. `process` is None while it does not run."""

    name: str
    http: tuple[str, int]
    command: list[str]
    folder: Path
    environ: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it is not ready yet."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "server.log").open("ab") as log:
            # In a session of its own, so that Ctrl-C reaches the harness alone, which then ends its servers.
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environ or None,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The pid of the running process."""
        assert self.process is not None
        return self.process.pid

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """kill -9."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, and -9 if that takes too long."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self.process is None:
            return
        self.process.send_signal(number)
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None
