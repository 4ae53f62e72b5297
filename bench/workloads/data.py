"""A registry as people have them: many keys, many services."""

from collections.abc import Iterator

from bench.harness import load
from bench.harness.dialects import Call
from bench.harness.targets import Target


def fill(target: Target, keys: int, services: int) -> None:
    """Store that many keys of 64 bytes, and register services of ten instances each, `services` instances in all."""
    address = target.addresses[target.leader()]
    load.fill(address, _keys(target, keys), clients=32)
    load.fill(address, _services(target, services), clients=32)


def _keys(target: Target, keys: int) -> Iterator[Call]:
    call = target.dialect.put(key="data/")
    return (call.filled(number, keys) for number in range(keys))


def _services(target: Target, services: int) -> Iterator[Call]:
    for number in range(services):
        yield target.dialect.register(f"data-{number // 10}").filled(number, services)
