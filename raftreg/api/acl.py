"""/v1/acl: as Consul answers while ACLs are off."""

from raftreg.api.context import ApiContext
from raftreg.api.http import Request, Response
from raftreg.api.render import text_response

# Path below /v1/acl -> methods, each in the order of its Allow header.
PATHS: dict[str, tuple[str, ...]] = {
    "bootstrap": ("PUT",),
    "login": ("POST",),
    "logout": ("POST",),
    "replication": ("GET",),
    "policies": ("GET",),
    "policy": ("PUT",),
    "policy/{id...}": ("GET", "PUT", "DELETE"),
    "policy/name/{name...}": ("GET",),
    "roles": ("GET",),
    "role": ("PUT",),
    "role/{id...}": ("GET", "PUT", "DELETE"),
    "role/name/{name...}": ("GET",),
    "binding-rules": ("GET",),
    "binding-rule": ("PUT",),
    "binding-rule/{id...}": ("GET", "PUT", "DELETE"),
    "auth-methods": ("GET",),
    "auth-method": ("PUT",),
    "auth-method/{name...}": ("GET", "PUT", "DELETE"),
    "tokens": ("GET",),
    "token": ("PUT",),
    "token/self": ("GET",),
    "token/{id...}": ("GET", "PUT", "DELETE"),
    "create": ("PUT",),
    "update": ("PUT",),
    "destroy/{id...}": ("PUT",),
    "info/{id...}": ("GET",),
    "clone/{id...}": ("PUT",),
    "list": ("GET",),
    "rules/translate": ("POST",),
    "rules/translate/{id...}": ("GET",),
}


async def refuse(context: ApiContext, request: Request) -> Response:
    """Any of them: there are no ACLs."""
    return text_response(401, "ACL support disabled")
