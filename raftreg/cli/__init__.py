"""The command line: thin commands over the server and over the HTTP API of a running node.

`agent` and `dev` run a node in this process. Everything else talks to a node by HTTP, at --http-addr, else
RAFTREG_HTTP_ADDR, else CONSUL_HTTP_ADDR, else 127.0.0.1:8500, and holds no state.

Exit codes: 0 done; 1 not done, with one line on standard error that says what to do; 2 wrong usage, such as a setting
that is missing or malformed; 70 the node stopped itself because going on could have broken a promise.
"""

from raftreg.cli.root import main

__all__ = ["main"]
