"""Values of query parameters that are neither texts nor shared by all endpoints."""

from typing import Final

_TRUE: Final = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "FALSE", "false", "False"})


def parse_bool(text: str) -> bool | None:
    """A truth value in any of Go's spellings, None for anything else."""
    if text in _TRUE:
        return True
    return False if text in _FALSE else None
