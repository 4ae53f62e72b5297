"""The mends of raftreg, each taken away by name: a test of the tests.

A mutant replaces methods for the time of a run, from here; the product knows nothing of it.
"""

from raftreg.sim.mutants import disks, leadership, members, messages, service
from raftreg.sim.mutants.mutant import MUTANTS, Mutant

__all__ = ["MUTANTS", "Mutant", "disks", "leadership", "members", "messages", "service"]
