"""What every handler is given: the registry and the facts about this node that answers mention."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from raftreg.api.cached import CachedReads
from raftreg.api.check_outputs import CheckOutputs
from raftreg.api.http import Request, Response
from raftreg.clock import Clock
from raftreg.registry import Registry


@dataclass(frozen=True)
class ApiContext:
    """The node as the HTTP API shows it. `settings` holds what /v1/agent/self reports beyond the named fields."""

    registry: Registry
    clock: Clock
    node_name: str
    node_id: str  # a UUID
    datacenter: str = "dc1"
    advertise_address: str = "127.0.0.1"
    version: str = ""
    http_port: int = 8500
    raft_port: int = 8300
    dns_port: int = 0  # 0: not served
    scripts: Literal["off", "local", "any"] = "off"  # whose requests may register script checks
    settings: Mapping[str, object] = field(default_factory=dict)
    render_metrics: Callable[[], bytes] | None = None  # the text of Prometheus' exposition format
    end: Callable[[], None] | None = None  # ends the process once what is in flight was answered
    cached_reads: CachedReads = field(default_factory=CachedReads)
    check_outputs: CheckOutputs = field(default_factory=CheckOutputs)


Handler = Callable[[ApiContext, Request], Awaitable[Response]]
