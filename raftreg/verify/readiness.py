"""Before anything is tried: which nodes serve, and which of a running cluster are not there at all."""

import asyncio
import json

from raftreg.verify.caller import World
from raftreg.verify.exchange import REFUSED, Connection, NotSent, Unanswered
from raftreg.verify.options import CannotVerify
from raftreg.verify.target import Target

START_TIMEOUT_S = 60.0
ABSENT_S = 3.0  # a node of a running cluster that takes no connection for so long is taken for absent
PATIENT_S = 15.0  # longer than a node tries to answer a read
POLL_S = 0.1
NOBODY, UNREACHED = "nothing listens at", "nobody is reached at"
PROBE = "/v1/kv/raftreg-verify?consistent"


async def wait_until_served(world: World, target: Target, *, may_be_absent: bool) -> dict[str, str]:
    """Wait until every node answers a consistent read; by name, why those that are absent are.

    `may_be_absent`: of a running cluster some nodes may be down, but not all. CannotVerify if there is nothing to
    verify, or a node that is there does not serve.
    """
    tasks = [asyncio.create_task(_why_absent(world, target, node, may_be_absent)) for node in world.nodes]
    try:
        found = await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    absent = {node: why for node, why in zip(world.nodes, found, strict=True) if why}
    if len(absent) == len(found):
        raise CannotVerify(
            f"{'; '.join(absent.values())}: is a node running there? raftreg verify without --http starts its own"
        )
    return absent


async def _why_absent(world: World, target: Target, node: str, may_be_absent: bool) -> str:
    """Empty once the node serves."""
    address, clock = world.nodes[node], world.clock
    began = clock.now()
    connection, is_there, said = Connection(address, PATIENT_S), not may_be_absent, ""
    try:
        while clock.now() < began + START_TIMEOUT_S:
            try:
                answer = await connection.request("GET", PROBE)
            except NotSent as error:
                said = error.why
                if not is_there and clock.now() > began + ABSENT_S:
                    return f"{NOBODY if said == REFUSED else UNREACHED} http://{address} ({said})"
            except Unanswered as error:
                is_there, said = True, str(error)
            else:
                if answer.status in (200, 404):
                    return ""
                is_there, said = True, f"it answers {answer.status}: {answer.text[:200]}"
            if dead := target.deaths():
                raise CannotVerify(dead[0])
            await asyncio.sleep(POLL_S)
    finally:
        connection.close()
    raise CannotVerify(f"{node} at http://{address} does not serve within {START_TIMEOUT_S:g} s: {said}")


async def serves(connection: Connection) -> bool:
    """Whether a node answers a consistent read."""
    try:
        answer = await connection.request("GET", PROBE)
    except (NotSent, Unanswered):
        return False
    return answer.status in (200, 404)


async def product_of(world: World) -> str:
    """What the cluster is. Sets `is_raftreg`. CannotVerify if it speaks no API of Consul's."""
    node, address = next(iter(world.nodes.items()))
    connection = Connection(address, PATIENT_S)
    try:
        answer = await connection.request("GET", "/v1/raftreg/status")
        world.is_raftreg = answer.status == 200
        if world.is_raftreg:
            return f"raftreg {json.loads(answer.body).get('Version', '')}".strip()
        answer = await connection.request("GET", "/v1/agent/self")
        version = json.loads(answer.body).get("Config", {}).get("Version") if answer.status == 200 else None
        leader = await connection.request("GET", "/v1/status/leader")
    except (NotSent, Unanswered) as error:
        raise CannotVerify(f"{error}: it went away") from None
    except ValueError:
        raise CannotVerify(f"{node} at http://{address} speaks another API than Consul's") from None
    finally:
        connection.close()
    if leader.status == 404:
        raise CannotVerify(f"{node} at http://{address} speaks another API than Consul's")
    return f"Consul {version}" if version else "a cluster that speaks Consul's API"
