"""What a link asks of the transport that it belongs to."""

from typing import TYPE_CHECKING, Any, Protocol

from raftreg.consensus.hello import Handshake

if TYPE_CHECKING:
    from raftreg.consensus.link import Link


class Hub(Protocol):
    """The decisions over all links together. None of these may raise."""

    def now(self) -> float:
        """The clock's time."""
        ...

    def link_opened(self, link: "Link") -> None:
        """The connection is there; the handshake begins."""
        ...

    def begin_handshake(self, link: "Link") -> Handshake:
        """A fresh handshake for this link."""
        ...

    def link_proved(self, link: "Link") -> bool:
        """The handshake is done on this side. True if the link is still wanted."""
        ...

    def use_number(self, link: "Link") -> int | None:
        """The number of the link if this side is the arbiter, else None."""
        ...

    def link_live(self, link: "Link") -> str | None:
        """The link has its number and wants to be the one that counts: None if it is, else a refusal."""
        ...

    def link_refused(self, link: "Link", text: str) -> None:
        """This side refuses the peer."""
        ...

    def link_told(self, link: "Link", text: str, *, authentic: bool) -> None:
        """The peer refused this node; `authentic` if it holds the key."""
        ...

    def link_failed(self, link: "Link", text: str) -> None:
        """The peer broke the protocol or was too slow."""
        ...

    def link_message(self, link: "Link", message: list[Any]) -> None:
        """A message on a live link."""
        ...

    def turn_done(self) -> None:
        """All messages of one read were delivered."""
        ...

    def link_closed(self, link: "Link", *, by_peer: bool) -> None:
        """The connection is gone, or about to be. May be called again for the same link."""
        ...

    def flush_soon(self, link: "Link") -> None:
        """Call `link.flush` when this turn of the loop is over."""
        ...
