"""Runs raftreg with a leader that takes a silent member for lost soon: `python -m tests.e2e.impatient agent ...`."""

from raftreg.cli import main
from raftreg.duties import autopilot

if __name__ == "__main__":
    for name, seconds in (("DEAD_S", 2.0), ("STAYS_S", 0.5), ("URGENT_S", 0.5)):
        assert hasattr(autopilot, name)
        setattr(autopilot, name, seconds)
    main()
