"""DNS of one node, built from its configuration."""

import logging

from raftreg.addresses import Address
from raftreg.clock import Clock
from raftreg.config import Config
from raftreg.dns.answerer import Answerer
from raftreg.dns.listener import DnsListener
from raftreg.dns.recursors import Recursors
from raftreg.dns.settings import ZoneSettings
from raftreg.errors import StartRefused
from raftreg.metrics import Metrics
from raftreg.ports import check_free, refusal
from raftreg.registry import Registry

log = logging.getLogger(__name__)

PURPOSE = "DNS (--dns)"


class DnsService:
    """Serves the zone while it is started. `address` is where it listens, None if it does not."""

    def __init__(self, config: Config, registry: Registry, clock: Clock, metrics: Metrics) -> None:
        """Nothing is opened yet. Raises StartRefused if the port that the operator gave cannot be had."""
        if config.dns is not None and config.dns_is_given:
            check_free(config.dns, PURPOSE)
        options = config.dns_options
        settings = ZoneSettings(
            datacenter=config.dc,
            node_name=config.node,
            alternative_domain=options.domain,
            service_ttls=options.service_ttls,
            node_ttl=options.node_ttl,
            only_passing=options.only_passing,
            udp_answer_limit=options.udp_answer_limit,
            recurses=bool(options.recursors),
        )
        answerer = Answerer(registry.local, settings, clock, lambda: registry.state.index)
        registry.on_topics(answerer.on_topics)
        self.address: Address | None = None
        self._config = config
        self._listener: DnsListener | None = None
        if config.dns is not None:
            recursors = Recursors(options.recursors, clock) if options.recursors else None
            self._listener = DnsListener(
                answerer, *config.dns, count=metrics.count_question, recursors=recursors
            )

    async def start(self) -> None:
        """Listen. Where nobody asked for it and the usual port is taken, the node goes on without DNS."""
        listener, wanted = self._listener, self._config.dns
        if listener is None or wanted is None:
            return
        try:
            await listener.start()
        except OSError as error:
            why = f"{PURPOSE}: {refusal(wanted, error)}"
            if self._config.dns_is_given:
                raise StartRefused(why) from None
            log.warning("%s; this node goes on without DNS", why)
        else:
            self.address = Address(wanted.host, listener.port)

    async def stop(self) -> None:
        """Stop listening."""
        if self._listener is not None:
            await self._listener.stop()
