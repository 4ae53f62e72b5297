"""A whole node in memory probes what is registered at its HTTP API."""

import json
from typing import Any

import pytest

from raftreg.errors import ConfigError
from tests.checks.application import application
from tests.dev_node import DevNode
from tests.e2e.cluster import Reply, request, wait_until


def put(node: DevNode, path: str, document: object = None) -> Reply:
    """One PUT that succeeds."""
    body = b"" if document is None else json.dumps(document).encode()
    reply = request(node.port, "PUT", path, body)
    assert 200 == reply.status, reply.text
    return reply


def checks(node: DevNode) -> Any:
    """The checks of the agent, by id."""
    return request(node.port, "GET", "/v1/agent/checks").json()


def status(node: DevNode) -> Any:
    """The status of the only check of the service in the catalog."""
    (check,) = request(node.port, "GET", "/v1/health/checks/web").json()
    return check["Status"]


def test_a_service_is_as_well_as_its_application_says() -> None:
    """Passing, then critical when it fails; the newest output is shown at once, outside the log; then nobody asks."""
    with application() as app, DevNode() as node:
        url = f"http://127.0.0.1:{app.server_port}/health"
        definition = {"Name": "web", "Port": 80, "Check": {"HTTP": url, "Interval": "1s"}}
        put(node, "/v1/agent/service/register", definition)
        wait_until("it passes", lambda: status(node) == "passing")
        index = request(node.port, "GET", "/v1/health/checks/web").headers["x-consul-index"]
        first = f"HTTP GET {url}: 200 OK Output: number 1"
        wait_until("a newer output is shown", lambda: checks(node)["service:web"]["Output"] != first)
        assert index == request(node.port, "GET", "/v1/health/checks/web").headers["x-consul-index"]
        app.status = 500
        wait_until("it fails", lambda: status(node) == "critical")
        gauge = request(node.port, "GET", "/v1/agent/metrics?format=prometheus").text
        assert "\nraftreg_checks_probed 1.0\n" in gauge
        put(node, "/v1/agent/service/deregister/web")
        put(
            node,
            "/v1/agent/check/register",
            {"Name": "other", "HTTP": url + "?other", "Interval": "1s", "Status": "passing"},
        )
        wait_until("the other check fails", lambda: checks(node)["other"]["Status"] == "critical")
        asked = app.asked.copy()
        wait_until("it is asked twice more", lambda: app.asked["/health?other"] >= asked["/health?other"] + 2)
        assert asked["/health"] == app.asked["/health"]


def test_scripts_run_where_they_are_allowed() -> None:
    """With the setting for local requests, a check of this machine is let in and run."""
    with DevNode(**{"enable-local-script-checks": "true"}) as node:
        definition = {"Name": "web", "Check": {"Args": ["echo", "well"], "Interval": "1s"}}
        put(node, "/v1/agent/service/register", definition)
        wait_until("it passes", lambda: status(node) == "passing")
        assert "well\n" == checks(node)["service:web"]["Output"]


def test_a_file_with_certificates_must_be_one() -> None:
    """Said at the start, in one line, and not by every check later on."""
    for path, said in ((__file__, "it is no PEM file"), ("/no/such/file", "No such file or directory")):
        with pytest.raises(ConfigError, match=said), DevNode(**{"check-ca-file": path}):
            pass
