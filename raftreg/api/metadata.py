"""What Consul refuses in the metadata of nodes and services."""

import re
from collections.abc import Mapping
from typing import Final

PAIRS_MAX: Final = 64
KEY_MAX: Final = 128
VALUE_MAX: Final = 512
RESERVED: Final = "consul-"
_KEY: Final = re.compile(r"[a-zA-Z0-9_-]+")


def metadata_mistake(meta: Mapping[str, str], *, reserved_allowed: bool = False) -> str:
    """What is wrong with the metadata, in the words that clients know; "" if nothing is."""
    if len(meta) > PAIRS_MAX:
        return f"Node metadata cannot contain more than {PAIRS_MAX} key/value pairs"
    for key, value in meta.items():
        why = ""
        if not key:
            why = "Key cannot be blank"
        elif not _KEY.fullmatch(key):
            why = "Key contains invalid characters"
        elif len(key) > KEY_MAX:
            why = f"Key is too long (limit: {KEY_MAX} characters)"
        elif key.startswith(RESERVED) and not reserved_allowed:
            why = f"Key prefix '{RESERVED}' is reserved for internal use"
        elif len(value.encode("utf-8", "surrogateescape")) > VALUE_MAX:
            why = f"Value is too long (limit: {VALUE_MAX} characters)"
        if why:
            return f"Couldn't load metadata pair ('{key}', '{value}'): {why}"
    return ""
