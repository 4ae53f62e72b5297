"""What this release can read and say, and what a cluster may use of it.

    protocol    how nodes speak; two nodes use the greatest version that both know (`raftreg.consensus.hello`)
    level       what may be in the log, in snapshots and in the state: the features that a cluster uses

The level of a cluster is a number in its state. Its leader raises it once every member can, never by one that cannot;
it never falls. Until then nobody writes what a member could not read. So the rule for whoever changes a format:

    * what was written once is read for ever;
    * what former releases cannot read gets a number of its own (a command, a kind of entry, a version of a file) and a
      level of its own here, and is written at that level only.

What meets something newer all the same raises `errors.NewerFormat`: it is neither skipped nor guessed at.
"""

PROTOCOL_MIN = 1
PROTOCOL_MAX = 1

LEVEL_MIN = 1  # the lowest level of a cluster in which this release can be a member
LEVEL_MAX = 2

STANDBYS = 2  # member sets with learners that stay such

Range = tuple[int, int]
_DIGITS_MAX = 9


def protocols() -> str:
    """The protocol versions that this release speaks, as a hello tells them."""
    return f"{PROTOCOL_MIN}..{PROTOCOL_MAX}"


def levels() -> str:
    """The levels that this release knows, as a hello tells them."""
    return f"{LEVEL_MIN}..{LEVEL_MAX}"


def parse_range(text: str, default: Range) -> Range:
    """(least, greatest) of a text such as `1..2`; `default` for anything else, as of a release that tells none."""
    least, dots, greatest = text.partition("..")
    numbers = (least, greatest)
    if not dots or not all(number.isdecimal() and len(number) <= _DIGITS_MAX for number in numbers):
        return default
    return (int(least), int(greatest)) if int(least) <= int(greatest) else default


def misfit_text(name: str, known: Range, level: int) -> str | None:
    """Why a node that knows these levels cannot be in a cluster at that level, and what to do; None if it can."""
    least, greatest = known
    if least <= level <= greatest:
        return None
    why = f"the cluster is at feature level {level}, and {name} knows levels {least} to {greatest}"
    if greatest < level:
        return f"{why}: upgrade raftreg on {name}"
    return (
        f"{why}: start a release there that knows {level} as well, and upgrade it when the level was raised"
    )


def closed_text(what: str, needed: int, level: int) -> str:
    """Why something of a later level cannot be done yet, and what to do."""
    return (
        f"{what} needs feature level {needed}, and the cluster is at {level}: it is raised by itself once every member "
        f"is connected and runs a release that knows level {needed} (see raftreg status)"
    )
