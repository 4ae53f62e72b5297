"""What a node counts, as Prometheus reads it."""

from prometheus_client.parser import text_string_to_metric_families

from raftreg.metrics import Metrics


def samples(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    """The values of one sample by its labels' values, in the order of the labels' names."""
    families = text_string_to_metric_families(metrics.render().decode())
    return {
        tuple(value for _, value in sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
        if sample.name == name
    }


def test_requests_are_counted_by_method_family_and_status() -> None:
    """Each combination is a series."""
    metrics = Metrics()
    for status in (200, 200, 404):
        metrics.count_request("GET", "kv", status, 0.001)
    assert {("kv", "GET", "200"): 2.0, ("kv", "GET", "404"): 1.0} == samples(
        metrics, "raftreg_http_requests_total"
    )


def test_times_fall_into_buckets_and_waiting_is_not_timed() -> None:
    """A bucket holds what is not above its bound; blocking queries count, and are not timed."""
    metrics = Metrics()
    for seconds in (0.0005, 0.0007, 60.0, None):
        metrics.count_request("GET", "health", 200, seconds)
    buckets = samples(metrics, "raftreg_http_request_seconds_bucket")
    assert (1.0, 2.0, 2.0, 3.0) == tuple(
        buckets["health", bound] for bound in ("0.0005", "0.001", "10.0", "+Inf")
    )
    assert {("health",): 3.0} == samples(metrics, "raftreg_http_request_seconds_count")
    assert {("health",): 60.0012} == samples(metrics, "raftreg_http_request_seconds_sum")
