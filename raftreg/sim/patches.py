"""Replacing attributes of modules and classes for the time of a run."""

from types import TracebackType
from typing import Any

_ABSENT = object()


class Patches:
    """A context manager: what was put is there inside of it, and undone in reverse order after it."""

    def __init__(self) -> None:
        self._wanted: list[tuple[Any, str, Any]] = []
        self._former: list[tuple[Any, str, Any]] = []

    def put(self, owner: Any, name: str, value: Any) -> None:
        """Replace an attribute."""
        self._wanted.append((owner, name, value))

    def __enter__(self) -> "Patches":
        for owner, name, value in self._wanted:
            former = vars(owner).get(name, _ABSENT) if hasattr(owner, "__dict__") else _ABSENT
            if name == "__kwdefaults__":
                former = owner.__kwdefaults__
            self._former.append((owner, name, former))
            setattr(owner, name, value)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._former:
            owner, name, former = self._former.pop()
            if former is _ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, former)
