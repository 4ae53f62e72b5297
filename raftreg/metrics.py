"""What a node counts, in Prometheus' terms. A small set: requests, probes of checks, the state of the replicated log.

Gauges are read when they are asked for, so that nothing has to keep them up to date.
"""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.process_collector import ProcessCollector

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The collectors of one node, with a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "raftreg_http_requests",
            "HTTP requests by method, family of the path (kv, catalog, ...) and status.",
            ("method", "family", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "raftreg_http_request_seconds",
            "Seconds from a request to its answer; blocking queries are not counted.",
            ("family",),
            buckets=_SECONDS,
            registry=self._registry,
        )

        self._probes = Counter(
            "raftreg_check_probes",
            "Probes of health checks by kind (http, tcp, ...) and status found.",
            ("kind", "status"),
            registry=self._registry,
        )
        self._lateness = Histogram(
            "raftreg_check_lateness_seconds",
            "Seconds from when a probe was due to its start.",
            buckets=_SECONDS,
            registry=self._registry,
        )

        # Finding a child by its labels costs more than counting, so those that were used are kept here.
        self._counters: dict[tuple[str, str, int], Counter] = {}
        self._histograms: dict[str, Histogram] = {}

    def count_request(self, method: str, family: str, status: int, seconds: float | None) -> None:
        """Count one request; `seconds` is None for those that wait on purpose.

        Method and family must come from a small set: each combination is a time series for good.
        """
        key = method, family, status
        counter = self._counters.get(key)
        if counter is None:
            counter = self._counters[key] = self._requests.labels(method, family, str(status))
        counter.inc()
        if seconds is not None:
            histogram = self._histograms.get(family)
            if histogram is None:
                histogram = self._histograms[family] = self._seconds.labels(family)
            histogram.observe(seconds)

    def count_probe(self, kind: str, status: str, lateness_s: float) -> None:
        """Count one probe of a health check."""
        self._probes.labels(kind, status).inc()
        self._lateness.observe(lateness_s)

    def add_gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """A gauge `raftreg_NAME` that calls `read` whenever it is asked for."""
        Gauge(f"raftreg_{name}", text, registry=self._registry).set_function(read)

    def render(self) -> bytes:
        """Everything in the text exposition format, version 0.0.4."""
        return generate_latest(self._registry)
