"""What Register, Deregister, CheckUpdate and Rehome do to the catalog.

A command either raises Refused before it has changed anything, or is carried out whole.
"""

from dataclasses import replace

from raftreg.commands import CheckUpdate, Deregister, Register, Rehome
from raftreg.errors import Refused
from raftreg.model import SERF_HEALTH, SERVER_SERVICE, Check, Node, Service, moved_from
from raftreg.state.catalog import NODE_LEVEL, Catalog, Host
from raftreg.state.changes import Changes, fold


def register(catalog: Catalog, changes: Changes, command: Register) -> bool:
    """Carry out a registration, or raise Refused."""
    host = catalog.host(command.node_name)
    _refuse_what_is_missing(host, command)
    if command.node is not None:
        refuse_taken_name(catalog, host, command.node, command.node_name)
        host = put_node(catalog, changes, host, replace(command.node, name=command.node_name))
    assert host is not None, "a registration without a node is refused above"
    service = command.service
    if service is not None:
        if command.moves:
            _move_here(catalog, changes, host, service)
        put_service(catalog, changes, host, service)
        if command.replace_checks:
            kept = {check.id for check in command.checks}
            for check in host.checks_of(service.id):
                if check.id not in kept:
                    catalog.drop_check(changes, host, check)
    for check in command.checks:
        if service is not None and not _has_service(host, check.service_id):
            check = replace(
                check, service_id=service.id
            )  # It names the id that the instance gave back just now.
        put_check(catalog, changes, host, check, keep_status=check.id in command.keep_status)
    return True


def deregister(catalog: Catalog, changes: Changes, command: Deregister) -> bool:
    """Remove the service if one is named, else the check, else the node; what is not there is as good as removed.

    False, and nothing is removed, if the check that caused this changed since the sender saw it.
    """
    host = catalog.host(command.node)
    if command.expected_modify_index is not None:
        cause = host.checks.get(command.cause) if host is not None else None
        if cause is None or cause.modify_index != command.expected_modify_index:
            return False
    if host is None:
        return True
    if command.service_id:
        service = host.services.get(command.service_id)
        if service is not None:
            catalog.drop_service(changes, host, service)
    elif command.check_id:
        check = host.checks.get(command.check_id)
        if check is not None:
            catalog.drop_check(changes, host, check)
    else:
        catalog.drop_node(changes, host)
    return True


def update_check(catalog: Catalog, changes: Changes, command: CheckUpdate) -> bool:
    """Set status and output; False if there is no such check, or it changed since the sender saw it."""
    host = catalog.host(command.node)
    check = host.checks.get(command.check_id) if host is not None else None
    if host is None or check is None:
        return False
    if command.expected_modify_index is not None and command.expected_modify_index != check.modify_index:
        return False
    if (check.status, check.output) != (command.status, command.output):
        updated = replace(check, status=command.status, output=command.output, modify_index=changes.index)
        catalog.put_check(changes, host, updated)
    return True


def rehome(catalog: Catalog, changes: Changes, command: Rehome) -> int:
    """Move the services that have an address of their own to another node; how many moved.

    Where an id of the service or of one of its checks is taken there, all of them get the name of the node that they
    leave behind them (`web@n1`): the instance lives on, and what has its id does too.
    """
    source, target = catalog.host(command.node), catalog.host(command.to)
    if source is None or target is None or source is target:
        return 0
    moved = 0
    for service_id in sorted(source.services):
        service = source.services[service_id]
        suffix = ""
        if _is_taken(source, target, service_id, suffix):
            suffix = moved_from(command.node)
        if service.address and not _is_taken(source, target, service_id, suffix):
            _move(catalog, changes, source, target, service, add=suffix)
            moved += 1
    return moved


def _has_service(host: Host, service_id: str) -> bool:
    """Whether a check may name that service: it is there, or none is named."""
    return service_id == NODE_LEVEL or service_id in host.services


def _is_taken(source: Host, target: Host, service_id: str, suffix: str) -> bool:
    """Whether the service, or one of its checks, would replace something at the target."""
    return service_id + suffix in target.services or any(
        check.id + suffix in target.checks for check in source.checks_of(service_id)
    )


def _refuse_what_is_missing(host: Host | None, command: Register) -> None:
    """Raise Refused if the registration leans on a node or a service that is not there and does not come with it."""
    if host is None and command.node is None:
        raise Refused(500, f'Missing node registration of node "{command.node_name}"')
    service_ids = {NODE_LEVEL} if command.service is None else {NODE_LEVEL, command.service.id}
    for check in command.checks:
        if check.service_id not in service_ids and (host is None or check.service_id not in host.services):
            text = f'failed inserting check: Missing service registration on node "{command.node_name}"'
            raise Refused(500, text)


def refuse_taken_name(catalog: Catalog, host: Host | None, node: Node, name: str) -> None:
    """Raise Refused if another node, known by its id and alive, has that name.

    A node that is registered from outside has no serfHealth; its name may be taken over, and so may a dead node's.
    """
    if host is None or not node.id or not host.node.id or node.id == host.node.id:
        return
    health = host.checks.get(SERF_HEALTH)
    if health is not None and health.status != "critical":
        text = f'failed inserting node: name "{name}" belongs to the living node with ID "{host.node.id}"'
        raise Refused(500, text)


def put_node(catalog: Catalog, changes: Changes, host: Host | None, node: Node) -> Host:
    """Add or update the node. A known id under a new name renames: the old name goes, with all that was on it.

    The spelling of a name is that of its first registration, and an id is kept if none is given.
    """
    create_index = changes.index
    former = catalog.hosts.get(catalog.name_of_id.get(node.id, "")) if node.id else None
    if former is not None and fold(former.node.name) != fold(node.name):
        create_index = former.node.create_index
        catalog.drop_node(changes, former)
    if host is not None:
        old = host.node
        node = replace(node, name=old.name, id=node.id or old.id)
        node = replace(node, create_index=old.create_index, modify_index=old.modify_index)
        if node == old:
            return host
        create_index = old.create_index
    return catalog.put_node(changes, replace(node, create_index=create_index, modify_index=changes.index))


def put_service(catalog: Catalog, changes: Changes, host: Host, service: Service) -> None:
    """Add or update the service, unless nothing would be different."""
    old = host.services.get(service.id)
    place, index = host.node.name, changes.index
    if old is None:
        service = replace(service, node=place, create_index=index, modify_index=index)
    else:
        service = replace(service, node=place, create_index=old.create_index, modify_index=old.modify_index)
        if service == old:
            return
        service = replace(service, modify_index=index)
    catalog.put_service(changes, host, service)


def put_check(catalog: Catalog, changes: Changes, host: Host, check: Check, *, keep_status: bool) -> None:
    """Add or update the check under its service's name and tags, unless nothing would be different."""
    old = host.checks.get(check.id)
    told = old if old is not None and keep_status else check
    service = host.services.get(check.service_id)
    check = replace(
        check,
        node=host.node.name,
        service_name="" if service is None else service.name,
        service_tags=None if service is None else service.tags,
        status=told.status,
        output=told.output,
        create_index=changes.index if old is None else old.create_index,
        modify_index=changes.index if old is None else old.modify_index,
    )
    if old is None:
        catalog.put_check(changes, host, check)
    elif check != old:
        catalog.put_check(changes, host, replace(check, modify_index=changes.index))


def _move_here(catalog: Catalog, changes: Changes, host: Host, service: Service) -> None:
    """Fetch the same instance from other nodes: it is registered again, through this node now.

    It may have another id since it was moved from a lost node, which it gives back.
    """
    if not service.address:
        return
    suffixes = ["", *(moved_from(member.node.name) for member, _ in catalog.instances(SERVER_SERVICE))]
    for suffix in suffixes:
        for other in catalog.hosts_with_service(service.id + suffix):
            found = other.services[service.id + suffix]
            same = (found.name, found.address, found.port) == (service.name, service.address, service.port)
            if not same or (other is host and not suffix):
                continue
            if service.id in host.services:
                catalog.drop_service(changes, other, found)
            else:
                _move(catalog, changes, other, host, found, drop=suffix)


def _move(
    catalog: Catalog,
    changes: Changes,
    source: Host,
    target: Host,
    service: Service,
    *,
    drop: str = "",
    add: str = "",
) -> None:
    """Move a service and those of its checks whose ids are free to another node. What they are stays as it was.

    Their ids lose the ending `drop` and get the ending `add`.
    """
    checks = source.checks_of(service.id)
    catalog.drop_service(changes, source, service)
    place, service_id = target.node.name, service.id.removesuffix(drop) + add
    moved = replace(service, id=service_id, node=place, modify_index=changes.index)
    catalog.put_service(changes, target, moved)
    for check in checks:
        check_id = check.id.removesuffix(drop) + add
        if check_id not in target.checks:
            here = replace(check, id=check_id, service_id=service_id, node=place)
            catalog.put_check(changes, target, replace(here, modify_index=changes.index))
