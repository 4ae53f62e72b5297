"""From the definition of a check to what probes it."""

import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from raftreg.checks.grpc import GRPCProbe
from raftreg.checks.http import HTTPProbe
from raftreg.checks.names import Resolver
from raftreg.checks.outcome import Outcome
from raftreg.checks.script import ScriptProbe
from raftreg.checks.tcp import TCPProbe, UDPProbe
from raftreg.checks.tls import TLSContexts
from raftreg.model import Probe

KINDS: Final = frozenset({"http", "tcp", "udp", "grpc", "script"})

Ask = Callable[[], Awaitable[Outcome]]  # raises ProbeFailed with the output of a critical check


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """What the operator allows. `environ` is what scripts inherit, less the settings of raftreg."""

    scripts: bool = False
    ca_file: Path | None = None  # certificates to trust besides the system's
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))


class Kinds:
    """Makes probes that share what can be shared."""

    def __init__(self, settings: ProbeSettings) -> None:
        self._settings = settings
        self._resolver = Resolver()
        self._contexts = TLSContexts(settings.ca_file)

    def make(self, probe: Probe) -> Ask:
        """What to call for each probe of a check; its kind is one of KINDS."""
        match probe.kind:
            case "http":
                return HTTPProbe(probe, self._resolver, self._contexts)
            case "tcp":
                return TCPProbe(probe, self._resolver)
            case "udp":
                return UDPProbe(probe, self._resolver)
            case "grpc":
                return GRPCProbe(probe, self._resolver, self._contexts)
            case "script":
                return ScriptProbe(probe, self._settings.environ, enabled=self._settings.scripts)
        raise ValueError(f"nothing probes checks of kind {probe.kind!r}")

    def close(self) -> None:
        """Let go of what was shared."""
        self._resolver.close()
