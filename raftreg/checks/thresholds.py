"""SuccessBeforePassing and FailuresBeforeCritical: how many results in a row it takes until they count."""

from raftreg.model import Probe, Status


class Thresholds:
    """Counts results in a row of one check. A warning is a success here, as in Consul."""

    __slots__ = ("_failures", "_failures_needed", "_successes", "_successes_needed")

    def __init__(self, probe: Probe, *, settled: bool) -> None:
        """`settled`: the check's status was found out before. Else the first result counts, whatever it is."""
        self._successes_needed = probe.success_before_passing
        self._failures_needed = probe.failures_before_critical
        self._successes = 0 if settled else self._successes_needed
        self._failures = 0 if settled else self._failures_needed

    def count(self, status: Status) -> bool:
        """Whether this result, after those before it, is the status of the check now."""
        if status == "critical":
            self._failures += 1
            self._successes = 0
            return self._failures >= self._failures_needed
        self._successes += 1
        self._failures = 0
        return self._successes >= self._successes_needed
