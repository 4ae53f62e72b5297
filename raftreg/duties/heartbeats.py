"""The message of a heartbeat that changes nothing, or an output alone, from the node that got it to the leader."""

from dataclasses import dataclass
from typing import Final

from raftreg.errors import Refused

TTL_CALL: Final = "ttl"
_FIELDS: Final = 4


def no_ttl(check_id: str) -> Refused:
    """The refusal of a heartbeat for what is no TTL check, or is not there, in words that clients know."""
    return Refused(500, f'CheckID "{check_id}" does not have associated TTL')


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A TTL check was told its status again."""

    node: str
    check_id: str
    status: str
    output: str

    def payload(self) -> list[str]:
        """The heartbeat as a message to the leader."""
        return [self.node, self.check_id, self.status, self.output]

    @classmethod
    def parse(cls, payload: object) -> "Heartbeat":
        """The heartbeat that a message carries. Refused (500) for anything else."""
        if (
            isinstance(payload, list)
            and len(payload) == _FIELDS
            and all(isinstance(part, str) for part in payload)
        ):
            return cls(*payload)
        raise Refused(500, "a heartbeat between nodes is malformed")
