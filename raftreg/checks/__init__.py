"""Probes: this node asks what was registered through it whether it is well.

What is guaranteed
    * Every check of this node with something to probe is probed once per interval (at least 1 s), after a restart and
      a restored snapshot as well, and by another node from the moment it has moved there. Never twice at once.
    * A change of status is written at once, and only over the record that it was found out for: a result does not
      outlive a new definition, a move or a deregistration. A change of the output alone is not written (but for the
      first reason of a check that never passed); the node that probes shows it.
    * A target that does not answer delays no check of another that does. Slow checks, and new ones, share half
      of the places; when they are more than that, they are probed less often than asked for. (When more checks than
      there are places turn silent at once, the others wait for them once.)
    * The loop is never blocked: names are looked up in threads, probes are started a few at a time.
    * What is kept of an answer is bounded (4 KiB), and so is what is read of it.
What is not
    * Probing from several places: the one node that a check belongs to decides.
    * Proxies: the environment's are not used.
    * Connections that are kept between probes. As in Consul each makes its own, which proves more.

One data flow: catalog (topics) -> Prober: what is due -> a probe (kinds: http, tcp, udp, grpc, script) -> Outcome ->
Thresholds -> Reports -> `Registry.write(CheckUpdate)`. TTL and alias checks need no probe: see `raftreg.duties`.
Behaviour and texts: https://developer.hashicorp.com/consul/docs/services/usage/checks.
"""

from raftreg.checks.kinds import Kinds, ProbeSettings
from raftreg.checks.prober import Prober

__all__ = ["Kinds", "ProbeSettings", "Prober"]
