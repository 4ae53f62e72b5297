"""python-consul 1.1.0, the client that Patroni and many scripts use."""

import os
import subprocess

from tests.clients.fetched import needs, python_of
from tests.e2e.cluster import Cluster

pytestmark = needs("python-consul")
_SCRIPT = """
import base64, sys
import consul

one, two = (consul.Consul(port=int(port)) for port in sys.argv[1:])
assert one.kv.put("pc/a", "1", flags=7) and two.kv.get("pc/a")[1]["Flags"] == 7
index, entry = one.kv.get("pc/a")
assert one.kv.put("pc/a", "2", cas=entry["ModifyIndex"]) and not one.kv.put("pc/a", "3", cas=entry["ModifyIndex"])
assert two.kv.get("pc/", keys=True)[1] == ["pc/a"]
later, entry = two.kv.get("pc/a", index=index, wait="10s")
assert int(later) > int(index) and entry["Value"] == b"2"

session = one.session.create(name="pc", ttl=10, behavior="delete", lock_delay=0)
assert one.kv.put("pc/lock", "x", acquire=session) and not two.kv.put("pc/lock", "y", acquire=two.session.create())
assert two.session.info(session)[1]["Name"] == "pc" and one.session.renew(session)["TTL"] == "10s"
assert one.session.destroy(session) and two.kv.get("pc/lock")[1] is None

assert one.agent.service.register("pcweb", service_id="pcweb-1", port=80, tags=["t"], check=consul.Check.ttl("60s"))
assert two.health.service("pcweb", passing=True)[1] == []
assert one.agent.check.ttl_pass("service:pcweb-1", notes="fine")
assert [each["Service"]["Port"] for each in two.health.service("pcweb", passing=True, tag="t")[1]] == [80]
assert one.agent.service.maintenance("pcweb-1", "true", "later")
assert two.health.service("pcweb", passing=True)[1] == []
assert one.agent.service.deregister("pcweb-1") and "pcweb" not in two.catalog.services()[1]

assert one.catalog.register("pcnode", "10.0.0.9", service={"service": "pcdb"}) and two.catalog.node("pcnode")[1]
assert two.catalog.service("pcdb")[1][0]["Address"] == "10.0.0.9" and one.catalog.deregister("pcnode")
assert one.event.fire("pcevent", "body") and any(e["Name"] == "pcevent" for e in one.event.list()[1])
value = base64.b64encode(b"5").decode()
one.txn.put([{"KV": {"Verb": "set", "Key": "pc/t", "Value": value}}, {"KV": {"Verb": "get", "Key": "pc/t"}}])
assert two.kv.get("pc/t")[1]["Value"] == b"5"
assert one.status.leader() in two.status.peers() and one.agent.self()["Member"]["Name"]
assert one.kv.delete("pc/", recurse=True) and two.kv.get("pc/", recurse=True)[1] is None
print("held")
"""


def test_python_consul_works_across_nodes(trio: Cluster) -> None:
    """Keys, locks, sessions, services, checks, catalog, events, transactions: written at one node, read at another."""
    ports = [str(trio[name].http) for name in ("n1", "n3")]
    done = subprocess.run(
        [str(python_of("python-consul")), "-c", _SCRIPT, *ports],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (0, "held\n") == (done.returncode, done.stdout), done.stderr
