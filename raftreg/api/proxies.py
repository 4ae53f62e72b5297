"""What a registration of a Connect proxy must give. Proxies are kept and shown; no traffic goes through raftreg."""

from collections.abc import Mapping
from typing import Any


def proxy_mistake(body: Mapping[str, Any]) -> str:
    """What a service of Kind connect-proxy lacks, "" if nothing or if it is no proxy."""
    if body.get("Kind") != "connect-proxy":
        return ""
    errors = []
    if not (body.get("Proxy") or {}).get("DestinationServiceName"):
        errors.append("Proxy.DestinationServiceName must be non-empty for Connect proxy services")
    if not body.get("Port"):
        errors.append("Port must be set for a Connect proxy")
    if not errors:
        return ""
    count = "1 error" if len(errors) == 1 else f"{len(errors)} errors"
    return f"{count} occurred:\n" + "".join(f"\t* {error}\n" for error in errors) + "\n"
