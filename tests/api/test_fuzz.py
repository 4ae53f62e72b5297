"""Requests at random: whatever a client sends gets an answer that is meant, and leaves no traceback."""

import logging

import pytest

from bench.requests_at_random import Requests
from raftreg.api.http import Query, Request, decode_percent
from raftreg.duties.server_health import HEALTH_CALL, ServerHealthDuty
from tests.api.in_process import Node, run

EACH = 400


@pytest.mark.parametrize("seed", range(3))
def test_requests_at_random_find_no_bug(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    """No route answers by accident: an internal error, or an exception that got past the handlers."""
    requests = Requests(seed)

    async def scenario(node: Node) -> None:
        node.registry.on_leader_call(HEALTH_CALL, ServerHealthDuty(node.registry).on_call)
        for number in range(EACH):
            made = requests.one()
            raw_path, _, query = made.target.partition("?")
            request = Request(
                made.method, decode_percent(raw_path), raw_path, Query.parse(query), made.headers, made.body
            )
            response = await node.answer(request)
            text = response.body[:200].decode("utf-8", "replace")
            assert "internal error" not in text, (number, made)
            assert response.status != 500 or text, (number, made)

    with caplog.at_level(logging.WARNING):
        run(scenario)
    assert [] == [record.getMessage() for record in caplog.records if record.exc_info]
