"""The workloads, in the order in which they are run. Those that harm a cluster come last."""

from bench.workloads.base import Scope, Workload
from bench.workloads.consistency import Consistency
from bench.workloads.election import Election
from bench.workloads.failover import Failover
from bench.workloads.propagation import Propagation
from bench.workloads.reads import Reads
from bench.workloads.registrations import Registrations
from bench.workloads.replication import Replication
from bench.workloads.resources import Resources
from bench.workloads.restart import Restart
from bench.workloads.watch import Watch
from bench.workloads.writes import Writes

WORKLOADS: tuple[type[Workload], ...] = (
    Resources, Writes, Registrations, Reads, Watch, Propagation, Replication, Restart, Failover, Election, Consistency,
)  # fmt: skip

__all__ = ["WORKLOADS", "Scope", "Workload"]
