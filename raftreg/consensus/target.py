"""Whom a node wants to be connected with."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """Whom to be connected with, and where to dial. Without a name: with whoever answers there.

    With a `member_id` nobody else of that name will do: one that lost its disk does not stand for the member.
    """

    name: str
    address: tuple[str, int]
    member_id: str | None = None

    @property
    def key(self) -> str:
        """What stays the same when the address changes."""
        host, port = self.address
        return self.member_id or self.name or f"{host}:{port}"
