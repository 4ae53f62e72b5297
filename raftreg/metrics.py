"""What a node counts, in Prometheus' terms. A small set: requests, probes of checks, the state of the replicated log.

Gauges are read when they are asked for, so that nothing has to keep them up to date. Requests are counted in plain
numbers, which cost a tenth of what the library's locked ones do, and are made its when they are asked for.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.utils import floatToGoString

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The collectors of one node, with a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = _Requests()
        self._registry.register(self._requests)
        self.count_request = self._requests.count
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

        self._questions = Counter(
            "raftreg_dns_questions",
            "DNS questions that were answered, by the code of the answer and the protocol.",
            ("rcode", "protocol"),
            registry=self._registry,
        )
        self._question_counters: dict[tuple[str, str], Counter] = {}

    def count_probe(self, kind: str, status: str, lateness_s: float) -> None:
        """Count one probe of a health check."""
        self._probes.labels(kind, status).inc()
        self._lateness.observe(lateness_s)

    def count_question(self, rcode: str, protocol: str) -> None:
        """Count one DNS question by its answer's code and udp or tcp."""
        counter = self._question_counters.get((rcode, protocol))
        if counter is None:
            counter = self._question_counters[rcode, protocol] = self._questions.labels(rcode, protocol)
        counter.inc()

    def add_gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """A gauge `raftreg_NAME` that calls `read` whenever it is asked for."""
        Gauge(f"raftreg_{name}", text, registry=self._registry).set_function(read)

    def render(self) -> bytes:
        """Everything in the text exposition format, version 0.0.4."""
        return generate_latest(self._registry)


class _Requests:
    """Counts and times of HTTP requests. For the event loop's thread only."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str, int], int] = {}
        self._took: dict[
            str, list[int]
        ] = {}  # family -> requests per bucket, the last one for what is above all
        self._seconds: dict[str, float] = {}

    def count(self, method: str, family: str, status: int, seconds: float | None) -> None:
        """Count one request; `seconds` is None for those that wait on purpose.

        Method and family must come from a small set: each combination is a time series for good.
        """
        key = method, family, status
        self._counts[key] = self._counts.get(key, 0) + 1
        if seconds is None:
            return
        took = self._took.get(family)
        if took is None:
            took = self._took[family] = [0] * (len(_SECONDS) + 1)
            self._seconds[family] = 0.0
        took[bisect_left(_SECONDS, seconds)] += 1
        self._seconds[family] += seconds

    def collect(self) -> Iterator[Metric]:
        """What the library asks for."""
        counts = CounterMetricFamily(
            "raftreg_http_requests",
            "HTTP requests by method, family of the path (kv, catalog, ...) and status.",
            labels=("method", "family", "status"),
        )
        for (method, family, status), count in self._counts.items():
            counts.add_metric((method, family, str(status)), count)
        yield counts
        times = HistogramMetricFamily(
            "raftreg_http_request_seconds",
            "Seconds from a request to its answer; blocking queries are not counted.",
            labels=("family",),
        )
        for family, took in self._took.items():
            times.add_metric((family,), _cumulated(took), self._seconds[family])
        yield times


def _cumulated(took: list[int]) -> list[tuple[str, float]]:
    """(upper bound, how many were not above it), as Prometheus has it."""
    bounds = (*map(floatToGoString, _SECONDS), "+Inf")
    return list(zip(bounds, accumulate(took), strict=True))
