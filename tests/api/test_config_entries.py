"""Configuration entries: what is stored, how it is shown again, and what is refused."""

import asyncio
import json

import pytest

from tests.api.in_process import Node, run

SHOWN: dict[str, dict[str, object]] = {
    '{"Kind":"service-defaults","Name":"web","Protocol":"HTTP"}': {
        "Kind": "service-defaults",
        "Name": "web",
        "Protocol": "http",
        "MeshGateway": {},
        "Expose": {},
    },
    '{"kind":"service-defaults","name":"x","mesh_gateway":{"mode":"local"},"external_sni":"sni",'
    '"expose":{"checks":true,"paths":[{"path":"/x","local_path_port":80}]}}': {
        "Kind": "service-defaults",
        "Name": "x",
        "Protocol": "",
        "MeshGateway": {"Mode": "local"},
        "Expose": {
            "Checks": True,
            "Paths": [
                {
                    "ListenerPort": 0,
                    "Path": "/x",
                    "LocalPathPort": 80,
                    "Protocol": "",
                    "ParsedFromCheck": False,
                }
            ],
        },
        "ExternalSNI": "sni",
    },
    '{"Kind":"proxy-defaults","Name":"any","Config":{"n":{"a":[1,2.5,"x"]},"protocol":"http"}}': {
        "Kind": "proxy-defaults",
        "Name": "global",
        "Config": {"n": {"a": [1, 2.5, "x"]}, "protocol": "http"},
        "MeshGateway": {},
        "Expose": {},
    },
    '{"Kind":"service-router","Name":"web"}': {"Kind": "service-router", "Name": "web", "Routes": None},
    '{"Kind":"service-router","Name":"web","Routes":[{"Match":{"HTTP":{"PathPrefix":"/a",'
    '"Header":[{"Name":"x","Present":true}]}},"Destination":{"Service":"other","RequestTimeout":"5s"}}]}': {
        "Kind": "service-router",
        "Name": "web",
        "Routes": [
            {
                "Match": {"HTTP": {"PathPrefix": "/a", "Header": [{"Name": "x", "Present": True}]}},
                "Destination": {"RequestTimeout": "5s", "Service": "other"},
            }
        ],
    },
    '{"Kind":"service-splitter","Name":"web","Splits":[{"Weight":0.5},{"weight":99.5,"service":"b"}]}': {
        "Kind": "service-splitter",
        "Name": "web",
        "Splits": [{"Weight": 0.5}, {"Weight": 99.5, "Service": "b"}],
    },
    '{"Kind":"service-resolver","Name":"web","DefaultSubset":"v1","ConnectTimeout":"15s",'
    '"Subsets":{"v1":{"Filter":"Service.Meta.version == v1"}},"Failover":{"*":{"Datacenters":["dc2"]}}}': {
        "Kind": "service-resolver",
        "Name": "web",
        "DefaultSubset": "v1",
        "Subsets": {"v1": {"Filter": "Service.Meta.version == v1"}},
        "Failover": {"*": {"Datacenters": ["dc2"]}},
        "ConnectTimeout": "15s",
    },
    '{"Kind":"ingress-gateway","Name":"ig"}': {
        "Kind": "ingress-gateway",
        "Name": "ig",
        "TLS": {"Enabled": False},
        "Listeners": None,
    },
    '{"Kind":"ingress-gateway","Name":"ig","Listeners":[{"Port":80,"Protocol":"http",'
    '"Services":[{"Name":"web","Hosts":["a.com"]}]}]}': {
        "Kind": "ingress-gateway",
        "Name": "ig",
        "TLS": {"Enabled": False},
        "Listeners": [{"Port": 80, "Protocol": "http", "Services": [{"Name": "web", "Hosts": ["a.com"]}]}],
    },
    '{"Kind":"terminating-gateway","Name":"tg","Services":[{"Name":"web","CAFile":"/a","SNI":"x"}]}': {
        "Kind": "terminating-gateway",
        "Name": "tg",
        "Services": [{"Name": "web", "CAFile": "/a", "SNI": "x"}],
    },
    '{"Kind":"service-defaults","Name":5,"Protocol":["a"]}': {
        "Kind": "service-defaults",
        "Name": "5",
        "Protocol": "a",
        "MeshGateway": {},
        "Expose": {},
    },
}


@pytest.mark.parametrize("body", SHOWN)
def test_entry_is_shown_as_consul_shows_it(body: str) -> None:
    """Names are spelled properly, empty fields are left out, and what is always there is there."""

    async def scenario(node: Node) -> None:
        reply = await node.put("/v1/config", body.encode())
        assert (200, "true") == (reply.status, reply.text)
        expected = SHOWN[body]
        shown = (await node.get(f"/v1/config/{expected['Kind']}/{expected['Name']}")).json
        assert isinstance(shown, dict)
        assert shown.pop("CreateIndex") == shown.pop("ModifyIndex")
        assert expected == shown

    run(scenario)


UNDECODABLE = "Bad request: Request decoding failed: "
REFUSED = {
    "nope": (400, UNDECODABLE + "invalid character 'o' in literal null (expecting 'u')"),
    "": (400, UNDECODABLE + "EOF"),
    "[]": (400, UNDECODABLE + "'' expected a map, got 'slice'"),
    "{}": (400, UNDECODABLE + "Payload does not contain a kind/Kind key at the top level"),
    '{"KIND":"service-defaults","Name":"x"}': (
        400,
        UNDECODABLE + "Payload does not contain a kind/Kind key at the top level",
    ),
    '{"Kind":5}': (400, UNDECODABLE + "Kind value in payload is not a string"),
    '{"Kind":"nonsense","Name":"x"}': (400, UNDECODABLE + "invalid config entry kind: nonsense"),
    '{"Kind":"service-intentions","Name":"x"}': (
        400,
        UNDECODABLE + "invalid config entry kind: service-intentions",
    ),
    '{"Kind":"service-defaults","Name":"x","Bogus":1}': (
        400,
        UNDECODABLE + '1 error occurred:\n\t* invalid config key "Bogus"\n\n',
    ),
    '{"Kind":"service-defaults","Name":"x","Namespace":"default"}': (
        400,
        UNDECODABLE
        + '1 error occurred:\n\t* invalid config key "Namespace", namespaces are a consul enterprise feature\n\n',
    ),
    '{"Kind":"service-defaults","Name":"x","MeshGateway":"local"}': (
        400,
        UNDECODABLE + "1 error(s) decoding:\n\n* 'MeshGateway' expected a map, got 'string'",
    ),
    '{"Kind":"service-resolver","Name":"x","ConnectTimeout":"abc"}': (
        400,
        UNDECODABLE
        + "1 error(s) decoding:\n\n* error decoding 'ConnectTimeout': time: invalid duration \"abc\"",
    ),
    '{"Kind":"service-defaults"}': (500, "serviceName is required"),
    '{"Kind":"service-router"}': (500, "Name is required"),
    '{"Kind":"ingress-gateway"}': (500, "failed inserting config entry: object missing primary index"),
    '{"Kind":"service-router","Name":"w","Routes":[{"Match":{"HTTP":{"PathPrefix":"a"}}}]}': (
        500,
        "Route[0] PathPrefix doesn't start with '/': \"a\"",
    ),
    '{"Kind":"service-splitter","Name":"w"}': (500, "no splits configured"),
    '{"Kind":"service-splitter","Name":"w","Splits":[{"Weight":50}]}': (
        500,
        "the sum of all split weights must be 100, not 50.000000",
    ),
    '{"Kind":"service-resolver","Name":"w","DefaultSubset":"v9"}': (
        500,
        'DefaultSubset "v9" is not a valid subset',
    ),
    '{"Kind":"service-resolver","Name":"w","Redirect":{}}': (500, "Redirect is empty"),
    '{"Kind":"service-resolver","Name":"w","ConnectTimeout":"-1s"}': (
        500,
        "Bad ConnectTimeout '-1s', must be >= 0",
    ),
    '{"Kind":"service-resolver","Name":"w","Failover":{"*":{}}}': (
        500,
        'Bad Failover["*"] one of Service, ServiceSubset, Namespace, or Datacenters is required',
    ),
    '{"Kind":"service-resolver","Name":"w","Failover":{"zz":{"Service":"y"}}}': (
        500,
        'Bad Failover["zz"]: not a valid subset',
    ),
    '{"Kind":"ingress-gateway","Name":"i","Listeners":[{"Port":0,"Protocol":"zz"}]}': (
        500,
        "protocol must be 'tcp', 'http', 'http2', or 'grpc'. 'zz' is an unsupported protocol",
    ),
    '{"Kind":"ingress-gateway","Name":"i","Listeners":[{"Port":80,"Protocol":"tcp","Services":[]}]}': (
        500,
        "No service declared for listener with port 80",
    ),
    '{"Kind":"ingress-gateway","Name":"i","Listeners":[{"Port":80,"Services":[{"Name":"*"}]}]}': (
        500,
        "Wildcard service name is only valid for protocol = 'http' (listener on port 80)",
    ),
    '{"Kind":"terminating-gateway","Name":"t","Services":[{"Name":""}]}': (
        500,
        "Service name cannot be blank.",
    ),
    '{"Kind":"terminating-gateway","Name":"t","Services":[{"Name":"a"},{"Name":"a"}]}': (
        500,
        'Service "a" was specified more than once within a namespace',
    ),
    '{"Kind":"terminating-gateway","Name":"t","Services":[{"Name":"a","CertFile":"c"}]}': (
        500,
        'Service "a" must have a CertFile, CAFile, and KeyFile specified for TLS origination',
    ),
}


@pytest.mark.parametrize("body", REFUSED)
def test_wrong_entries_are_refused(body: str) -> None:
    """Status and text are those of Consul, and nothing is stored."""

    async def scenario(node: Node) -> None:
        reply = await node.put("/v1/config", body.encode())
        assert REFUSED[body] == (reply.status, reply.text)
        assert [] == await node.rows("/v1/config/")

    run(scenario)


@pytest.mark.parametrize(
    ("method", "target", "status", "text"),
    [
        ("GET", "/v1/config/nonsense", 500, "invalid config entry kind: nonsense"),
        ("DELETE", "/v1/config/nonsense/x", 400, "invalid config entry kind: nonsense"),
        ("DELETE", "/v1/config/service-defaults", 404, "Must provide both a kind and name to delete"),
        ("DELETE", "/v1/config/service-defaults/none", 200, "{}"),
        ("GET", "/v1/config/service-defaults?dc=x", 500, "No path to datacenter"),
        ("PUT", "/v1/config/service-defaults/x", 405, "method PUT not allowed"),
    ],
)
def test_other_answers(method: str, target: str, status: int, text: str) -> None:
    """Kinds and names in the path are looked at as Consul does."""

    async def scenario(node: Node) -> None:
        reply = await node.call(method, target)
        assert (status, text) == (reply.status, reply.text)

    run(scenario)


def test_cas_lists_and_blocking() -> None:
    """`cas` decides about a write, lists are by kind and name, and a blocked list wakes on a change."""

    async def scenario(node: Node) -> None:
        body = {"Kind": "service-defaults", "Name": "web"}
        assert ["true", "false"] == [(await node.put("/v1/config?cas=0", body)).text for _ in range(2)]
        assert 500 == (await node.put("/v1/config?cas=x", body)).status
        row = (await node.rows("/v1/config/service-defaults"))[0]
        assert "true" == (await node.put(f"/v1/config?cas={row['ModifyIndex']}", body)).text
        index = (await node.get("/v1/config/service-defaults")).headers["X-Consul-Index"]
        blocked = asyncio.create_task(node.get(f"/v1/config/service-defaults?index={index}&wait=10s"))
        await asyncio.sleep(0.02)
        await node.call("DELETE", "/v1/config/service-defaults/WEB")
        assert [] == json.loads((await blocked).text)
        missing = await node.get("/v1/config/service-defaults/web")
        assert 404 == missing.status
        assert int(missing.headers["X-Consul-Index"]) > int(index)

    run(scenario)
