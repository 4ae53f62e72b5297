"""Where each member is reached.

A name that the operator gave an address (`--peers`) has that one, whoever bears it. Everybody else is reached where a
living process of the member said in its hello, else where an earlier one said so, unless other nodes say otherwise by
now, else where the member set in use hints at, else where other nodes said.
"""

from collections.abc import Iterable, Mapping

from raftreg.addresses import Address, parse_address
from raftreg.consensus.hello import Hello
from raftreg.consensus.members import Members, name_of

RAFT = (
    "raft"  # what a hello says of the address, host:port; with an empty host that of the connection is meant
)


class AddressBook:
    """Member id -> address. What is not an address is as if it had not been said."""

    def __init__(
        self, given: Mapping[str, tuple[str, int]], remembered: Mapping[str, str] | None = None
    ) -> None:
        """`given`: by name, the operator's word. `remembered`: by id, what members said before this start."""
        self._given = {name.lower(): address for name, address in given.items()}
        self._heard: dict[str, Address] = {}
        self._remembered: dict[str, Address] = {}
        for member, text in (remembered or {}).items():
            self._note(self._remembered, member, text)
        self._hints: dict[str, Address] = {}
        self._told: dict[str, Address] = {}

    def heard(self, hello: Hello) -> None:
        """A living process said where it is reached."""
        self._note(self._heard, hello.member_id, hello.advertise.get(RAFT, ""))

    def hinted(self, members: Members) -> None:
        """This is the member set in use."""
        self._hints.clear()
        for member, text in members.addresses:
            self._note(self._hints, member, text)

    def told(self, addresses: Mapping[str, str]) -> None:
        """Another node said where it reaches members."""
        for member, text in addresses.items():
            self._note(self._told, member, text)
            if member in self._remembered:
                self._note(self._remembered, member, text)

    def keep(self, members: Iterable[str]) -> None:
        """Forget all others."""
        kept = set(members)
        for table in (self._heard, self._remembered, self._told):
            for member in set(table) - kept:
                del table[member]

    def of(self, member: str) -> tuple[str, int] | None:
        """The address of a member, None if it is not known."""
        if (given := self._given.get(name_of(member).lower())) is not None:
            return given
        tables = (self._heard, self._remembered, self._hints, self._told)
        return next((table[member] for table in tables if member in table), None)

    def text(self, member: str) -> str:
        """host:port, with brackets around an IPv6 host; "" if unknown."""
        address = self.of(member)
        return "" if address is None else str(Address(*address))

    def texts(self, members: Iterable[str]) -> dict[str, str]:
        """What to tell others, of those that are known: what a process says of itself before what was given here."""
        found = {member: self._heard.get(member) or self.of(member) for member in sorted(members)}
        return {member: str(Address(*address)) for member, address in found.items() if address}

    @staticmethod
    def _note(table: dict[str, Address], member: str, text: str) -> None:
        try:
            address = parse_address(text)
        except ValueError:
            return
        if address.port:
            table[member] = address
