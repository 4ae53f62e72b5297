"""What a workload is."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from bench.harness import grpc
from bench.harness.dialects import FOLLOWER, LEADER
from bench.harness.figures import DOWN, UP, Figure
from bench.harness.load import Load
from bench.harness.targets import Target


@dataclass(frozen=True, slots=True)
class Scope:
    """How much is measured."""

    quick: bool

    def choose(self, quick: Any, full: Any) -> Any:
        """One of two sizes."""
        return quick if self.quick else full


class Workload(ABC):
    """`prepare` once per target, then `run` once per round, then `verify`; in the end `report` what is to be drawn."""

    name: str
    # Needs processes that the harness started.
    ours_only = False
    # Asks something that only raftreg answers.
    raftreg_only = False
    # Takes long: a quick run does it once.
    is_long = False

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        # What a run could not measure, a line each with the reason.
        self.left_out: list[str] = []

    def unfit(self, target: Target) -> str:
        """Why the workload cannot be done to the target; empty if it can."""
        if self.raftreg_only and target.name not in ("raftreg", "running"):
            return "asks what only raftreg answers"
        if self.ours_only and not target.is_ours:
            return "needs processes that the harness started"
        return ""

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

    def report(self) -> list[dict[str, Any]]:
        """What is worth drawing as it went by."""
        return []

    def speaks_grpc(self, target: Target) -> bool:
        """Whether the target is to be measured over gRPC too."""
        if not target.over_grpc:
            return False
        if not grpc.is_there():
            self.left_out.append(
                f"{self.name} at {target.over_grpc}: no program {grpc.PROGRAM!r} (Debian: nghttp2-client)"
            )
            return False
        return True

    def figure(
        self,
        case: str,
        metric: str,
        unit: str,
        better: str,
        value: float,
        curve: tuple[tuple[float, float], ...] = (),
        target: str = "",
    ) -> Figure:
        """A figure of this workload; of the target that is measured, unless it is said of which."""
        return Figure(self.name, case, metric, unit, better, value, target, curve=curve)

    def loop_figures(self, case: str, found: Load, target: str = "") -> list[Figure]:
        """Rate and latency of a closed loop. OSError if some of it went wrong."""
        if found.bad:
            raise OSError(f"{self.name}, {case}: {found.bad} of {found.requests} requests failed")
        return [
            self.figure(case, "rate", "1/s", UP, found.rate, found.curve, target),
            self.figure(case, "p99", "ms", DOWN, found.at(0.99) * 1e3, (), target),
        ]


def places(target: Target) -> list[tuple[str, int]]:
    """(leader or follower, number of the node) of now."""
    leader = target.leader()
    return [(LEADER, leader), (FOLLOWER, (leader + 1) % len(target.addresses))]
