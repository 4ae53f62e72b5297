"""`raftreg lock`: run a command while holding a lock."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from types import FrameType
from typing import Any, Final

import click

from raftreg.cli.client import Client, CommandFailed
from raftreg.cli.options import client_for, http_address
from raftreg.clock import SystemClock
from raftreg.durations import parse_duration

KEY_NAME: Final = ".lock"
RENEWALS_PER_TTL: Final = 3
POLL_S: Final = 1.0  # after a refusal without a holder: the lock delay of an earlier one
BLOCK_S: Final = 10.0
GRACE_S: Final = 5.0  # what the command gets after SIGTERM
EXIT_LOST: Final = 1


@click.command(context_settings={"ignore_unknown_options": True}, short_help="Run a command under a lock.")
@click.argument("prefix")
@click.argument("command", nargs=-1, type=click.UNPROCESSED, required=True)
@click.option(
    "--ttl", default="15s", metavar="DURATION", help="How long the lock survives a holder that died.  [15s]"
)
@click.option(
    "--timeout", metavar="DURATION", help="Give up when the lock is not had by then; 0s does not wait."
)
@click.option("--name", default="", metavar="TEXT", help="Name of the session, for people.")
@http_address
def lock(
    prefix: str, command: tuple[str, ...], ttl: str, timeout: str | None, name: str, http_addr: str | None
) -> None:
    """Wait for the lock of PREFIX, run COMMAND, release; the exit code is that of COMMAND.

    COMMAND finds the key in RAFTREG_LOCK_KEY, the count of acquisitions in RAFTREG_LOCK_INDEX, and in
    RAFTREG_FENCING_TOKEN a number that is greater than that of every earlier holder: give it to what the lock
    protects, which then refuses whoever comes with a smaller one. If the lock is lost, COMMAND is terminated.

    \b
      raftreg lock jobs/nightly -- ./nightly.sh --all
      raftreg lock jobs/nightly --timeout 0s -- ./nightly.sh
    """
    held = Held(client_for(http_addr), f"{prefix.rstrip('/')}/{KEY_NAME}", _seconds(ttl, "--ttl"))
    held.create(name or f"raftreg lock {prefix}", ttl)
    try:
        held.acquire(None if timeout is None else _seconds(timeout, "--timeout"))
        code = held.run(command)
    finally:
        held.give_back()
    sys.exit(code)


class Held:
    """A session and the lock that it holds, for as long as a command runs."""

    def __init__(self, client: Client, key: str, ttl_s: float) -> None:
        self._client = client
        self._key = key
        self._ttl_s = ttl_s
        self._clock = SystemClock()
        self._ended = threading.Event()
        self._lost = False
        self._session = ""
        self._environ: dict[str, str] = {}

    def create(self, name: str, ttl: str) -> None:
        """Begin a session that depends on its TTL alone, and keep it alive."""
        answer = self._client.put("/v1/session/create", {"Name": name, "TTL": ttl, "Checks": []})
        self._session = str(answer.table("ID")["ID"])
        threading.Thread(target=self._keep_alive, name="renewals", daemon=True).start()

    def acquire(self, timeout_s: float | None) -> None:
        """Return with the lock. CommandFailed when the time is over or the session is lost."""
        deadline = None if timeout_s is None else self._clock.now() + timeout_s
        holder = f"{socket.gethostname()} {os.getpid()}".encode()
        while not self._lost:
            taken = self._client.call("PUT", f"/v1/kv/{self._key}", {"acquire": self._session}, holder)
            entry, index = self._entry()
            if taken.json() is True and entry is not None and entry.get("Session") == self._session:
                self._environ = {
                    "RAFTREG_LOCK_KEY": self._key,
                    "RAFTREG_LOCK_INDEX": str(entry["LockIndex"]),
                    "RAFTREG_FENCING_TOKEN": str(entry["ModifyIndex"]),
                }
                return
            left_s = BLOCK_S if deadline is None else min(BLOCK_S, deadline - self._clock.now())
            if left_s <= 0:
                value = (
                    ""
                    if entry is None
                    else f", held by session {entry.get('Session', 'of an earlier holder')}"
                )
                raise CommandFailed(f'the lock "{self._key}" was not to be had in time{value}')
            if entry is not None and "Session" in entry:
                self._entry(index=index, wait_s=left_s)
            else:
                self._ended.wait(min(POLL_S, left_s))
        raise CommandFailed("the session was lost while waiting for the lock")

    def run(self, command: Sequence[str]) -> int:
        """Run the command to its end; its exit code. If the lock is lost, it is terminated."""
        signals = _Signals()
        try:
            process = subprocess.Popen(command, env=os.environ | self._environ)
        except OSError as error:
            raise CommandFailed(f"{command[0]} cannot be run: {error.strerror}") from None
        signals.pass_to(process)
        while process.poll() is None and not self._lost:
            try:
                process.wait(POLL_S)
            except subprocess.TimeoutExpired:
                continue
        if process.poll() is None:
            _terminate(process)
            raise CommandFailed(f'the lock "{self._key}" was lost, so the command was terminated')
        code = process.returncode
        return code if code >= 0 else 128 - code  # as shells tell of a signal

    def give_back(self) -> None:
        """End the session, and with it the lock. What cannot be told to a node ends with the TTL."""
        self._ended.set()
        try:
            if self._environ:
                self._client.call("PUT", f"/v1/kv/{self._key}", {"release": self._session})
            self._client.call("PUT", f"/v1/session/destroy/{self._session}")
        except CommandFailed as error:
            click.echo(f"raftreg: the lock ends with its TTL: {error}", err=True)

    def _entry(self, *, index: int = 0, wait_s: float = 0.0) -> tuple[dict[str, Any] | None, int]:
        """The entry of the key, or None, and its index. With an index, once it is no longer that."""
        parameters = {"index": index, "wait": f"{wait_s:.3f}s"} if index else {}
        answer = self._client.call("GET", f"/v1/kv/{self._key}", parameters, accept=(200, 404))
        rows = answer.rows() if answer.status == 200 else []
        return (rows[0], int(rows[0]["ModifyIndex"])) if rows else (None, 0)

    def _keep_alive(self) -> None:
        """Renew until the end. The lock counts as lost when the session is, or when nobody answered for a TTL."""
        renewed_at = self._clock.now()
        while not self._ended.wait(self._ttl_s / RENEWALS_PER_TTL):
            asked_at = self._clock.now()
            try:
                path = f"/v1/session/renew/{self._session}"
                status = self._client.call("PUT", path, accept=(200, 404)).status
            except CommandFailed as error:
                click.echo(f"raftreg: renewal: {error}", err=True)
                status = 0
            if status == 200:
                renewed_at = asked_at
            elif status == 404 or self._clock.now() - renewed_at >= self._ttl_s:
                self._lost = True
                return


class _Signals:
    """Lets whoever stops this process stop the command, also in the moment in which the command is being started."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._early: int | None = None
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._came)

    def _came(self, number: int, frame: FrameType | None) -> None:
        if self._process is None:
            self._early = number
        else:
            self._process.send_signal(number)

    def pass_to(self, process: "subprocess.Popen[bytes]") -> None:
        """The command runs now: it gets what came before, and what will come."""
        self._process = process
        if self._early is not None:
            process.send_signal(self._early)


def _terminate(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _seconds(text: str, option: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise CommandFailed(f"{option}: {error}") from None
