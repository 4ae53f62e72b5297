"""A cluster of one node, made once by an operator. Others join it.

It is an act and no setting, because a setting stays: a first node whose disk was lost would make a second cluster.
"""

import asyncio
from dataclasses import replace
from pathlib import Path

from raftreg.clock import Clock
from raftreg.consensus.disk import RealDisk
from raftreg.consensus.identity import is_unused, open_data_dir, waits_for_a_cluster
from raftreg.consensus.members import Members
from raftreg.errors import StartRefused


def found_cluster(path: Path, name: str, address: str, clock: Clock) -> str:
    """Make node `name`, reached at `address`, the only voter of a new cluster, in an empty directory. Blocks.

    One whose node never had a cluster will do, as it promised nothing to anybody. Returns the id of the cluster. Raises
    StartRefused with one line that says what to do.
    """
    disk = RealDisk()
    if not is_unused(path, disk) and not waits_for_a_cluster(path, disk):
        raise StartRefused(
            f"{path}: is not empty. If a node has run on it, just start that; a new cluster needs an empty directory."
        )
    data_dir = open_data_dir(path, name, clock)
    data_dir.identity = replace(data_dir.identity, starts=0)  # No process has acted yet.
    members = Members.genesis([data_dir.identity.member_id])
    members = members.with_addresses({data_dir.identity.member_id: address})
    try:
        data_dir.save_genesis(members.encode(), members.cluster_id)
    finally:
        asyncio.run(data_dir.close())
    return members.cluster_id
