"""`raftreg init`: make a cluster of one node, which others join."""

import os
from pathlib import Path

import click

from raftreg.cli.agent import config_option, with_settings
from raftreg.clock import SystemClock
from raftreg.config import load
from raftreg.errors import ConfigError
from raftreg.settings import BY_NAME

_NAMES = ("node", "data-dir", "raft", "advertise", "cluster-key-file")


@click.command(short_help="Make a cluster of one node, which others join.")
@config_option
@with_settings(tuple(BY_NAME[name] for name in _NAMES))
def init(config: Path | None, **flags: str | None) -> None:
    """Make a cluster of one node, once, in an empty data directory. Nothing is started.

    For a cluster that is to grow node by node. Where several nodes begin together, --peers of raftreg agent does it.

    \b
      raftreg init --node n1 --data-dir /var/lib/raftreg --raft 10.0.0.1:8300
    """
    configuration = load({name.replace("_", "-"): text for name, text in flags.items()}, os.environ, config)
    if configuration.peers or configuration.join:
        raise ConfigError(
            "peers and join say where a cluster comes from: to make one of this node alone leave them out"
        )
    # Imported here, because the configuration is to be found wrong quickly.
    from raftreg.consensus.founding import found_cluster

    node, path, address = configuration.node, configuration.data_dir, str(configuration.raft_advertise)
    assert path is not None
    more = "".join(
        f" --{name} {text}" for name in _NAMES[2:] if (text := flags[name.replace("-", "_")]) is not None
    )
    cluster_id = found_cluster(path, node, address, SystemClock())
    click.echo(
        f"made cluster {cluster_id} of {node} alone, in {path}\n"
        f"start it:       raftreg agent --node {node} --data-dir {path}{more}\n"
        f"add another:    raftreg agent --node NAME --data-dir DIR --join {address}    (on its host)\n"
        f"                raftreg operator raft add NAME    (at a member)"
    )
