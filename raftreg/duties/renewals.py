"""The message of a renewal, from the node that got it to the leader, who answers whether there is such a session."""

from typing import Final

from raftreg.errors import Refused

RENEWAL_CALL: Final = "session"


def session_of(payload: object) -> str:
    """The id of the session that a message names. Refused (500) for anything else."""
    if isinstance(payload, str):
        return payload
    raise Refused(500, "a renewal between nodes is malformed")
