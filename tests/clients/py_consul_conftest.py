"""Takes the place of the conftest of py-consul's own test suite, which starts Consul in a container for each test.

The suite runs in py-consul's virtual environment, against the node at RAFTREG_PORT, which is emptied before each test.
"""

import collections
import json
import os
import urllib.request
from typing import Any

import pytest

Instance = collections.namedtuple("Instance", ["container", "port", "version"])
_BASE = f"http://127.0.0.1:{os.environ['RAFTREG_PORT']}"
_KINDS = ("service-defaults", "proxy-defaults", "service-resolver")
_AUTOPILOT = {"CleanupDeadServers": True, "LastContactThreshold": "200ms", "ServerStabilizationTime": "10s"}


def _call(method: str, path: str, body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(
        urllib.request.Request(_BASE + path, data, method=method), timeout=30
    ) as answer:
        content = answer.read()
        return json.loads(content) if content else None


def _empty() -> None:
    own = _call("GET", "/v1/agent/self")["Config"]["NodeName"]
    _call("PUT", "/v1/agent/maintenance?enable=false")
    for service_id in _call("GET", "/v1/agent/services"):
        if service_id != "consul":
            _call("PUT", f"/v1/agent/service/deregister/{service_id}")
    for check_id in _call("GET", "/v1/agent/checks"):
        if check_id != "serfHealth":
            _call("PUT", f"/v1/agent/check/deregister/{check_id}")
    for node in _call("GET", "/v1/catalog/nodes"):
        if node["Node"] != own:
            _call("PUT", "/v1/catalog/deregister", {"Node": node["Node"]})
    for session in _call("GET", "/v1/session/list"):
        _call("PUT", f"/v1/session/destroy/{session['ID']}")
    for query in _call("GET", "/v1/query"):
        _call("DELETE", f"/v1/query/{query['ID']}")
    for kind in _KINDS:
        for entry in _call("GET", f"/v1/config/{kind}"):
            _call("DELETE", f"/v1/config/{kind}/{entry['Name']}")
    _call("PUT", "/v1/operator/autopilot/configuration", _AUTOPILOT)
    _call("DELETE", "/v1/kv/?recurse")


@pytest.fixture
def consul_instance() -> Instance:
    """The node, with nothing on it."""
    _empty()
    return Instance(None, int(os.environ["RAFTREG_PORT"]), "1.8.7")


@pytest.fixture
def consul_port(consul_instance: Instance) -> tuple[int, str]:
    """Port and version."""
    return consul_instance.port, consul_instance.version


@pytest.fixture
def acl_consul_instance(consul_instance: Instance) -> tuple[Instance, str]:
    """The node with a token, which it ignores while ACLs are off."""
    return consul_instance, "token"
