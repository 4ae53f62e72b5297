"""The members of the cluster under the ids by which clients know nodes."""

from raftreg.api.context import ApiContext
from raftreg.model import SERVER_SERVICE
from raftreg.state.queries import ServiceNodes


def node_ids(context: ApiContext) -> dict[str, str]:
    """The UUIDs of the members by folded name, as far as they are in the catalog."""
    rows = context.registry.local(ServiceNodes(SERVER_SERVICE)).value
    return {node.name.lower(): node.id for node, _ in rows if node.id} | {
        context.node_name.lower(): context.node_id
    }
