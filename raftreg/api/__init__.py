"""The HTTP API: Consul's paths, parameters, JSON names, statuses and error texts over the registry.

What is guaranteed
    * One table (`raftreg.api.routes`) holds the whole surface; 404, 405, 301 and OPTIONS follow from it.
    * Whatever a client sends gives a response with the status and the text that it knows from Consul 1.8; an
      exception that nobody expected is a 500, logged once with its traceback.
    * Handlers see `Request`, `Response` and `ApiContext` alone: no server library, no socket, no Consul name
      below here.
What is not
    * Authorisation: tokens are accepted and ignored.

One data flow: listener -> dispatch -> handler (parse -> registry -> render) -> listener.
Spec: Consul's HTTP API documentation (https://developer.hashicorp.com/consul/api-docs) and its behaviour at 1.8.7.
"""

from raftreg.api.dispatch import create_handler

__all__ = ["create_handler"]
