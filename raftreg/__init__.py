"""raftreg: a Raft-replicated service registry and key-value store that speaks Consul's HTTP API."""

__version__ = "0.1.0"
