"""The whole surface of the HTTP API, one path a line.

A path that ends in `{name...}` stands for everything below it, slashes included and nothing at all as well; the
handler finds it decoded in `request.rest`. Something fixed may follow the open end (`{id...}/execute`). The longest
such path that fits wins, an exact path wins over all. The order of the methods is the order in which the Allow header
names them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from raftreg.api import (
    acl,
    agent_checks,
    agent_health,
    agent_maintenance,
    agent_membership,
    agent_self,
    agent_services,
    catalog,
    cluster_status,
    config_entries,
    coordinates,
    events,
    health,
    kv,
    member_changes,
    monitor,
    operator,
    page,
    prepared,
    session,
    snapshots,
    status,
    txn,
)
from raftreg.api.context import Handler

BODY_MAX = 16 * 1024 * 1024  # bytes, where the API sets no limit of its own
BODY_SETTING = "http_body_max_size"
# Targets that begin so are answered without a task as far as nothing has to be waited for (`raftreg.api.eager`): their
# handlers enter no timeout and no task group before they wait for the first time, and give no stream.
EAGER = (
    "/v1/kv/",
    "/v1/health/",
    "/v1/catalog/",
    "/v1/session/",
    "/v1/txn",
    "/v1/agent/service",
    "/v1/agent/check",
)
EAGER_BODY_MAX = 64 * 1024  # bytes: what comes with one read, and no route above refuses
_CONSUL_OPTIONS = "https://www.consul.io/docs/agent/options.html#"  # where Consul's refusals point


@dataclass(frozen=True, slots=True)
class Route:
    """One path and what answers it.

    `failed_reads_carry_index`: a 500 to a GET has the X-Consul-* headers nevertheless, as Consul does for all
    indexed endpoints but those of kv. `allows_options`: the Allow header of a 405 names OPTIONS. `body_max` in bytes;
    `body_setting` is what the refusal of a larger body points to.
    """

    path: str
    methods: Mapping[str, Handler]
    failed_reads_carry_index: bool = False
    allows_options: bool = True
    body_max: int = BODY_MAX
    body_setting: str = BODY_SETTING


ROUTES: tuple[Route, ...] = (
    Route("/", {"GET": page.get_root}),
    Route("/livez", {"GET": status.get_livez}),
    Route("/readyz", {"GET": status.get_readyz}),
    Route("/v1/status/leader", {"GET": status.get_leader}),
    Route("/v1/status/peers", {"GET": status.get_peers}),
    Route("/v1/raftreg/status", {"GET": cluster_status.get_cluster_status}),
    Route("/v1/raftreg/members", {"GET": member_changes.get_members}),
    Route("/v1/raftreg/members/add", {"POST": member_changes.post_add}),
    Route("/v1/raftreg/members/promote", {"POST": member_changes.post_promote}),
    Route("/v1/raftreg/members/remove", {"POST": member_changes.post_remove}),
    Route("/v1/raftreg/members/replace", {"POST": member_changes.post_replace}),
    Route("/v1/agent/self", {"GET": agent_self.get_self}),
    Route("/v1/agent/host", {"GET": agent_self.get_host}),
    Route("/v1/agent/members", {"GET": agent_self.get_members}),
    Route("/v1/agent/metrics", {"GET": agent_self.get_metrics}),
    Route("/v1/agent/monitor", {"GET": monitor.get}),
    Route("/v1/agent/reload", {"PUT": agent_self.put_reload}),
    Route("/v1/agent/leave", {"PUT": agent_membership.put_leave}),
    Route("/v1/agent/join/{address...}", {"PUT": agent_membership.put_join}),
    Route("/v1/agent/force-leave/{node...}", {"PUT": agent_membership.put_force_leave}),
    Route("/v1/agent/token/{kind...}", {"PUT": agent_self.put_token}),
    Route("/v1/agent/services", {"GET": agent_services.get_services}),
    Route("/v1/agent/service/{id...}", {"GET": agent_services.get_service}),
    Route("/v1/agent/service/register", {"PUT": agent_services.register}),
    Route("/v1/agent/service/deregister/{id...}", {"PUT": agent_services.deregister}),
    Route("/v1/agent/service/maintenance/{id...}", {"PUT": agent_maintenance.put_service}),
    Route("/v1/agent/maintenance", {"PUT": agent_maintenance.put_node}),
    Route("/v1/agent/checks", {"GET": agent_checks.get_checks}),
    Route("/v1/agent/check/register", {"PUT": agent_checks.register}),
    Route("/v1/agent/check/deregister/{id...}", {"PUT": agent_checks.deregister}),
    Route("/v1/agent/check/pass/{id...}", {"PUT": agent_checks.put_pass}),
    Route("/v1/agent/check/warn/{id...}", {"PUT": agent_checks.put_warn}),
    Route("/v1/agent/check/fail/{id...}", {"PUT": agent_checks.put_fail}),
    Route("/v1/agent/check/update/{id...}", {"PUT": agent_checks.put_update}),
    Route("/v1/agent/health/service/id/{id...}", {"GET": agent_health.get_by_id}),
    Route("/v1/agent/health/service/name/{name...}", {"GET": agent_health.get_by_name}),
    Route("/v1/catalog/register", {"PUT": catalog.register}),
    Route("/v1/catalog/deregister", {"PUT": catalog.deregister}),
    Route("/v1/catalog/datacenters", {"GET": catalog.get_datacenters}),
    Route("/v1/catalog/nodes", {"GET": catalog.get_nodes}, failed_reads_carry_index=True),
    Route("/v1/catalog/services", {"GET": catalog.get_services}, failed_reads_carry_index=True),
    Route("/v1/catalog/service/{name...}", {"GET": catalog.get_service}, failed_reads_carry_index=True),
    Route("/v1/catalog/connect/{name...}", {"GET": catalog.get_connect}, failed_reads_carry_index=True),
    Route("/v1/catalog/node/{node...}", {"GET": catalog.get_node}, failed_reads_carry_index=True),
    Route(
        "/v1/catalog/node-services/{node...}",
        {"GET": catalog.get_node_services},
        failed_reads_carry_index=True,
    ),
    Route("/v1/health/node/{node...}", {"GET": health.get_node}, failed_reads_carry_index=True),
    Route("/v1/health/checks/{name...}", {"GET": health.get_checks}, failed_reads_carry_index=True),
    Route("/v1/health/state/{state...}", {"GET": health.get_state}, failed_reads_carry_index=True),
    Route("/v1/health/service/{name...}", {"GET": health.get_service}, failed_reads_carry_index=True),
    Route("/v1/health/connect/{name...}", {"GET": health.get_connect}, failed_reads_carry_index=True),
    Route("/v1/query", {"GET": prepared.get_list, "POST": prepared.create}, failed_reads_carry_index=True),
    Route(
        "/v1/query/{id...}",
        {"GET": prepared.get_one, "PUT": prepared.put, "DELETE": prepared.delete},
        failed_reads_carry_index=True,
        allows_options=False,
    ),
    Route(
        "/v1/query/{id...}/execute",
        {"GET": prepared.execute},
        failed_reads_carry_index=True,
        allows_options=False,
    ),
    Route(
        "/v1/query/{id...}/explain",
        {"GET": prepared.explain},
        failed_reads_carry_index=True,
        allows_options=False,
    ),
    Route("/v1/session/create", {"PUT": session.create}),
    Route("/v1/session/destroy/{id...}", {"PUT": session.destroy}),
    Route("/v1/session/renew/{id...}", {"PUT": session.renew}),
    Route("/v1/session/info/{id...}", {"GET": session.get_info}, failed_reads_carry_index=True),
    Route("/v1/session/list", {"GET": session.get_list}, failed_reads_carry_index=True),
    Route("/v1/session/node/{node...}", {"GET": session.get_node}, failed_reads_carry_index=True),
    Route(
        "/v1/txn",
        {"PUT": txn.put},
        body_max=txn.BODY_MAX,
        body_setting=_CONSUL_OPTIONS + "txn_max_req_len",
    ),
    Route(
        "/v1/kv/{key...}",
        {"GET": kv.get_key, "PUT": kv.put_key, "DELETE": kv.delete_key},
        body_max=kv.VALUE_MAX,
        body_setting=_CONSUL_OPTIONS + "kv_max_value_size",
    ),
    Route("/v1/event/fire/{name...}", {"PUT": events.fire}),
    Route("/v1/event/list", {"GET": events.get_list}),
    Route("/v1/coordinate/datacenters", {"GET": coordinates.get_datacenters}),
    Route("/v1/coordinate/nodes", {"GET": coordinates.get_nodes}, failed_reads_carry_index=True),
    Route("/v1/coordinate/node/{node...}", {"GET": coordinates.get_node}, failed_reads_carry_index=True),
    Route("/v1/coordinate/update", {"PUT": coordinates.put_update}),
    Route("/v1/config", {"PUT": config_entries.put}),
    Route("/v1/config/{kind...}", {"GET": config_entries.get, "DELETE": config_entries.delete}),
    Route("/v1/operator/raft/configuration", {"GET": operator.get_raft_configuration}),
    Route("/v1/operator/raft/peer", {"DELETE": operator.delete_raft_peer}),
    Route("/v1/operator/raft/transfer-leader", {"POST": operator.post_transfer_leader}),
    Route(
        "/v1/operator/autopilot/configuration", {"GET": operator.get_autopilot, "PUT": operator.put_autopilot}
    ),
    Route("/v1/operator/autopilot/health", {"GET": operator.get_health}),
    Route("/v1/operator/keyring", operator.KEYRING),
    Route("/v1/snapshot", {"GET": snapshots.get, "PUT": snapshots.put}, body_max=snapshots.BODY_MAX),
    *(Route(f"/v1/acl/{path}", dict.fromkeys(methods, acl.refuse)) for path, methods in acl.PATHS.items()),
)
