"""What clients do while the cluster is disturbed: one module per workload, each with the checks on its own history.

Every value that is written is written once, so that a value tells who wrote it. All names begin with the prefix of the
run, so that a cluster in use is not disturbed.
"""

from raftreg.verify.workloads.bank import Bank
from raftreg.verify.workloads.locks import Locks
from raftreg.verify.workloads.registers import Registers
from raftreg.verify.workloads.services import Services
from raftreg.verify.workloads.unique import UniqueKeys
from raftreg.verify.workloads.workload import Workload

__all__ = ["BY_NAME", "Workload"]

BY_NAME: dict[str, type[Workload]] = {
    "registers": Registers,
    "set": UniqueKeys,
    "bank": Bank,
    "locks": Locks,
    "services": Services,
}
