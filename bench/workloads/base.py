"""What a workload is."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from bench.harness.dialects import FOLLOWER, LEADER
from bench.harness.figures import Figure
from bench.harness.targets import Target


@dataclass(frozen=True, slots=True)
class Scope:
    """How much is measured."""

    quick: bool

    def choose(self, quick: Any, full: Any) -> Any:
        """One of two sizes."""
        return quick if self.quick else full


class Workload(ABC):
    """`prepare` once per target, then `run` once per round, then `verify`."""

    name: str
    # Needs processes that the harness started.
    ours_only = False
    # Asks something that only raftreg answers.
    raftreg_only = False
    # Takes long: a quick run does it once.
    is_long = False

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    def fits(self, target: Target) -> bool:
        """Whether the workload says something about the target."""
        if self.raftreg_only and target.name not in ("raftreg", "running"):
            return False
        return target.is_ours or not self.ours_only

    def rounds(self, wanted: int) -> int:
        """How often it is run."""
        return 1 if self.is_long and self.scope.quick else wanted

    def prepare(self, target: Target) -> None:  # noqa: B027  # Most workloads need nothing.
        """Put there what `run` needs."""

    @abstractmethod
    def run(self, target: Target, seed: int) -> list[Figure]:
        """Measure once."""

    def verify(self, target: Target) -> list[str]:
        """What the cluster got wrong, a line each: a fast wrong answer is no figure."""
        return []

    def timelines(self) -> list[dict[str, Any]]:
        """What is worth drawing as it went by."""
        return []

    def figure(
        self,
        case: str,
        metric: str,
        unit: str,
        better: str,
        value: float,
        curve: tuple[tuple[float, float], ...] = (),
    ) -> Figure:
        """A figure of this workload."""
        return Figure(self.name, case, metric, unit, better, value, curve=curve)


def places(target: Target) -> list[tuple[str, int]]:
    """(leader or follower, number of the node) of now."""
    leader = target.leader()
    return [(LEADER, leader), (FOLLOWER, (leader + 1) % len(target.addresses))]
