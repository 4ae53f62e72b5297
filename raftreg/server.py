"""The composition root: builds a node from its configuration, runs it until it is told to stop, takes it apart.

    State -> Replica -> RaftNode or LocalConsensus -> Registry -> Duties -> Prober -> DNS -> handler -> HTTP listener

It is built and started from left to right. SIGTERM and SIGINT stop it: the duties end, requests that wait for a change
are answered, those in flight are finished, leadership is handed over, exit code 0. A start that an operator must
mend ends with one line and exit code 1. When going on could break a promise, the process ends at once with code 70.
"""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from itertools import pairwise

from raftreg import __version__, logs
from raftreg.addresses import Address
from raftreg.api import create_handler
from raftreg.api.context import ApiContext
from raftreg.api.dispatch import body_limit
from raftreg.api.listener import Listener
from raftreg.api.measured import measured
from raftreg.api.routes import EAGER
from raftreg.checks import Kinds, Prober, ProbeSettings
from raftreg.checks.tls import make_context
from raftreg.clock import Clock, SystemClock
from raftreg.config import ELECTION_TIMINGS, Config
from raftreg.consensus import Consensus, StateMachine
from raftreg.consensus.local import LocalConsensus
from raftreg.dns import DnsService
from raftreg.duties import Duties
from raftreg.errors import StartRefused
from raftreg.garbage import FullCollections
from raftreg.metrics import Metrics
from raftreg.ports import check_free, refusal
from raftreg.registry import Registry, Replica, Status
from raftreg.state import State

log = logging.getLogger(__name__)

EXIT_REFUSED = 1
EXIT_FATAL = 70  # EX_SOFTWARE of sysexits.h
# The log's thread gets the interpreter within this; Python's own 5 ms are felt in each write.
SWITCH_S = 0.0005
STOP_S_MAX = 20.0  # a stop that takes longer is cut off
DRAIN_S = 5.0  # what requests in flight are given after a signal to stop


def run(config: Config) -> int:
    """Run a node until it is told to stop; the exit code. Sets up the logs of the process."""
    logs.configure(config.log_level, as_json=config.log_json)
    sys.setswitchinterval(SWITCH_S)
    for warning in config.warnings:
        log.warning(warning)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(config))
    except StartRefused as error:
        log.error(error)
        return EXIT_REFUSED
    return 0


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's loop where it is installed, else the standard one."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def end_process(error: BaseException) -> None:
    """Stop at once, without another write to disk or network: an invariant is broken, or nobody wants this node."""
    if isinstance(error, StartRefused):
        log.error(error)
        code = EXIT_REFUSED
    else:
        log.critical("fatal, stopping at once: %s", error, exc_info=error)
        code = EXIT_FATAL
    logging.shutdown()
    sys.stderr.flush()
    os._exit(code)


async def _serve(config: Config) -> None:
    """Start a node, wait for SIGTERM or SIGINT, stop it."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    clock = SystemClock()
    server = Server(config, clock, end_process, stop.set)
    collections = FullCollections(server.leads, clock.now)
    async with server:
        collections.settle()
        collecting = asyncio.create_task(collections.run())
        await stop.wait()
        collecting.cancel()
        log.info("stopping")
        loop.call_later(STOP_S_MAX, _give_up_stopping)
    log.info("stopped")


def _give_up_stopping() -> None:
    """Whatever holds the stop up, the process must not stay; what it acknowledged is on disk."""
    end_process(RuntimeError(f"not stopped within {STOP_S_MAX:g} s"))


class Server:
    """One node, as an asynchronous context manager: running inside, stopped outside."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        on_fatal: Callable[[BaseException], None],
        on_left: Callable[[], None] | None = None,
    ) -> None:
        """Nothing is opened yet. `on_fatal` must end the process; `on_left`, in order, after it left its cluster."""
        self.config = config
        self._clock = clock
        self._on_fatal, self._on_left = on_fatal, on_left
        self._stack = AsyncExitStack()
        self._consensus: Consensus | None = None
        self.http_port = 0
        self.dns_port = 0  # 0 also while DNS is not served

    async def __aenter__(self) -> "Server":
        """Start. Raises StartRefused with one line if an operator must mend something first."""
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    def leads(self) -> bool:
        """Whether this node leads the cluster now."""
        return self._consensus is not None and self._consensus.status().role == "leader"

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _start(self) -> None:
        config, clock = self.config, self._clock
        check_free(config.http, "HTTP (--http)")
        if config.data_dir is not None:
            check_free(config.raft, "Raft (--raft)")
        metrics = Metrics()

        replica = Replica(State())
        consensus = self._consensus = _make_consensus(config, replica, clock, self._on_fatal)
        registry = Registry(
            consensus,
            replica,
            clock,
            node_name=config.node,
            datacenter=config.dc,
            write_timeout_s=config.write_timeout_s,
            read_timeout_s=config.read_timeout_s,
        )
        dns = DnsService(config, registry, clock, metrics)
        await self._started(consensus.start, consensus.stop)
        node_id = _node_id(consensus.status().id, clock)
        context = _make_context(config, registry, clock, metrics, node_id, self._on_left)
        duties = Duties(
            registry,
            node_id=node_id,
            address=config.advertise,
            raft_port=config.raft_advertise.port,
            rejoin=config.rejoin == "auto",
            http_address=str(Address(config.advertise, config.http.port)) if config.http.port else "",
        )
        prober = Prober(registry, context.check_outputs.note, Kinds(_probe_settings(config)), metrics)
        answer = measured(create_handler(context), metrics, clock)
        listener = Listener(answer, body_limit(), *config.http, eager=EAGER)
        self._stack.push_async_callback(listener.stop, DRAIN_S)
        self._stack.push_async_callback(_drain, registry)
        await self._started(duties.start, duties.stop)
        await self._started(prober.start, prober.stop)
        await self._started(dns.start, dns.stop)
        try:
            await listener.start()
        except OSError as error:
            raise StartRefused(f"HTTP (--http): {refusal(config.http, error)}") from None
        self.http_port = listener.port
        _count(metrics, registry, duties)
        metrics.add_gauge("checks_probed", "Health checks that this node probes.", lambda: len(prober))
        self.dns_port = dns.address.port if dns.address is not None else 0
        _say_hello(config, self.http_port, dns.address)

    async def _started(
        self, start: Callable[[], Awaitable[None]], stop: Callable[[], Awaitable[None]]
    ) -> None:
        """Start a part; it is stopped before everything that was started earlier, also if its start fails."""
        self._stack.push_async_callback(stop)
        await start()


async def _drain(registry: Registry) -> None:
    """Let the registry finish what it has, but not for longer than a stop may take."""
    with suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            await registry.stop()


def _make_consensus(
    config: Config, machine: StateMachine, clock: Clock, on_fatal: Callable[[BaseException], None]
) -> Consensus:
    """The replicated log, or for `raftreg dev` one in memory."""
    if config.data_dir is None:
        return LocalConsensus(machine, clock, name=config.node, on_fatal=on_fatal)
    # Imported here, because a node in memory needs none of it.
    from raftreg.consensus.node import RaftNode, RaftSettings

    shortest, longest, heartbeat = ELECTION_TIMINGS[config.timing]
    settings = RaftSettings(
        name=config.node,
        data_dir=config.data_dir,
        listen=config.raft,
        peers=config.peers,
        join=config.join,
        advertise=str(config.raft_advertise),
        cluster_key=config.cluster_key,
        election_timeout_min_s=shortest,
        election_timeout_max_s=longest,
        heartbeat_s=heartbeat,
        snapshot_entries=config.snapshot_entries,
    )
    return RaftNode(settings, machine, clock, on_fatal)


def _node_id(member_id: str, clock: Clock) -> str:
    """The incarnation of the member as a UUID: it stays while the data directory does. In memory a fresh one."""
    incarnation = member_id.rpartition(".")[2]
    if len(incarnation) != 32 or not all(digit in "0123456789abcdef" for digit in incarnation):
        return clock.uuid()
    return "-".join(incarnation[begin:end] for begin, end in pairwise((0, 8, 12, 16, 20, 32)))


def _make_context(
    config: Config,
    registry: Registry,
    clock: Clock,
    metrics: Metrics,
    node_id: str,
    end: Callable[[], None] | None,
) -> ApiContext:
    return ApiContext(
        registry=registry,
        clock=clock,
        node_name=config.node,
        node_id=node_id,
        datacenter=config.dc,
        advertise_address=config.advertise,
        version=__version__,
        http_port=config.http.port,
        dns_port=config.dns.port if config.dns is not None else 0,
        raft_port=config.raft_advertise.port,
        render_metrics=metrics.render,
        end=end,
        scripts="any"
        if config.enable_script_checks
        else "local"
        if config.enable_local_script_checks
        else "off",
    )


def _probe_settings(config: Config) -> ProbeSettings:
    """What probes may do. ConfigError if the file with certificates is none."""
    if config.check_ca_file is not None:
        make_context(config.check_ca_file, skip_verify=False)
    scripts = config.enable_script_checks or config.enable_local_script_checks
    return ProbeSettings(scripts=scripts, ca_file=config.check_ca_file)


def _count(metrics: Metrics, registry: Registry, duties: Duties) -> None:
    """The gauges of the replicated log and of sessions."""
    status = registry.consensus.status
    metrics.add_gauge("raft_term", "Current term.", lambda: status().term)
    metrics.add_gauge("raft_is_leader", "1 on the leader, else 0.", lambda: status().role == "leader")
    metrics.add_gauge(
        "raft_commit_index", "Newest entry known to be committed.", lambda: status().commit_index
    )
    metrics.add_gauge("raft_applied_index", "Newest entry applied here.", lambda: status().applied_index)
    metrics.add_gauge("raft_last_index", "Newest entry in the log.", lambda: status().last_index)
    metrics.add_gauge("raft_snapshot_index", "Newest entry in a snapshot.", lambda: status().snapshot_index)
    metrics.add_gauge(
        "raft_leader_contact_seconds", "Since the leader was last heard.", lambda: status().leader_contact_s
    )
    metrics.add_gauge(
        "raft_members_index", "The entry that named the members.", lambda: status().members_index
    )
    metrics.add_gauge("feature_level", "Of the cluster, as applied here.", lambda: status().level)
    metrics.add_gauge("raft_voters", "Members that vote.", lambda: sum(peer.voter for peer in status().peers))
    metrics.add_gauge(
        "raft_learners", "Members that do not.", lambda: sum(not p.voter for p in status().peers)
    )
    metrics.add_gauge(
        "raft_learner_lag",
        "Entries that the last of the learners lacks; on the leader.",
        lambda: _lag(status()),
    )
    metrics.add_gauge("raft_strangers", "Nodes that wait to be let in.", lambda: len(status().strangers))
    metrics.add_gauge("state_index", "Commands applied, as clients see it.", lambda: registry.state.index)
    metrics.add_gauge("sessions", "Sessions there are.", lambda: len(registry.state.sessions.sessions))
    metrics.add_gauge(
        "sessions_expired", "Sessions that this node ended after their TTL.", lambda: duties.sessions.expired
    )


def _lag(status: Status) -> int:
    """How far the learner that has least is behind; 0 if there is none, and on nodes that do not lead."""
    matches = [peer.match_index for peer in status.peers if not peer.voter and peer.match_index is not None]
    return max(0, status.last_index - min(matches, default=status.last_index))


def _say_hello(config: Config, http_port: int, dns: Address | None) -> None:
    http = Address(config.http.host, http_port)
    where = "not served" if dns is None else f"on {dns}"
    if config.data_dir is None:
        log.info(
            "raftreg %s in memory: HTTP on %s, DNS %s; everything is gone when it stops",
            *(__version__, http, where),
        )
        return
    log.info(
        "raftreg %s, node %s: HTTP on %s, DNS %s, Raft on %s, data in %s",
        *(__version__, config.node, http, where, config.raft, config.data_dir),
    )
