"""The server side of aiohttp, and nothing else of it.

`import aiohttp` brings the client side too, which takes 0.1 s at each start of a node: twice as long as all that is
needed here, most of it for reading the certificates that a client trusts. So the package is put in place without being
run, its modules of the server side are imported, and it is run when somebody asks it for anything.
"""

import importlib.util
import sys
from types import ModuleType


def _stand_in() -> ModuleType | None:
    """The package, not run yet; None if somebody ran it before."""
    spec = importlib.util.find_spec("aiohttp")
    if "aiohttp" in sys.modules or spec is None:
        return None
    package = importlib.util.module_from_spec(spec)
    vars(package)["__version__"] = ""  # the one name that its own modules want of it; see `_run_when_asked`
    sys.modules["aiohttp"] = package
    return package


def _run_when_asked(package: ModuleType) -> None:
    def ask(name: str) -> object:
        del vars(package)["__getattr__"]
        assert package.__spec__ is not None
        assert package.__spec__.loader is not None
        package.__spec__.loader.exec_module(package)
        return getattr(package, name)

    del vars(package)["__version__"]
    vars(package)["__getattr__"] = ask


_package = _stand_in()

from aiohttp.helpers import rfc822_formatted_time  # noqa: E402
from aiohttp.http_exceptions import HttpProcessingError  # noqa: E402
from aiohttp.http_parser import RawRequestMessage  # noqa: E402
from aiohttp.http_writer import HttpVersion10, HttpVersion11  # noqa: E402
from aiohttp.streams import StreamReader  # noqa: E402
from aiohttp.web_protocol import RequestHandler  # noqa: E402
from aiohttp.web_request import BaseRequest  # noqa: E402
from aiohttp.web_response import Response, StreamResponse  # noqa: E402
from aiohttp.web_server import Server  # noqa: E402

if _package is not None:
    _run_when_asked(_package)

__all__ = [
    "BaseRequest",
    "HttpProcessingError",
    "HttpVersion10",
    "HttpVersion11",
    "RawRequestMessage",
    "RequestHandler",
    "Response",
    "Server",
    "StreamReader",
    "StreamResponse",
    "rfc822_formatted_time",
]
