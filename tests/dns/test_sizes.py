"""How much of an answer a client gets."""

from raftreg.dns import ZoneSettings
from tests.dns.messages import make_query, parse
from tests.dns.zones import Zone


def _zone(count: int, settings: ZoneSettings | None = None, name: str = "node") -> Zone:
    zone = Zone(settings)
    for number in range(count):
        zone.node(f"{name}-{number}", f"10.0.{number // 256}.{number % 256}")
        zone.service("web", f"{name}-{number}")
    return zone


def test_a_datagram_without_edns_has_three_answers_of_many() -> None:
    """Not always the same ones, and without the TC flag, as clients of Consul know it; TCP has them all."""
    zone = _zone(12)
    seen = set()
    for _ in range(60):
        answer = zone.ask("web.service.consul")
        assert (3, "qr aa rd") == (len(answer.answer), answer.flags)
        seen.update(answer.answer)
    assert 12 == len(seen)
    assert 3 == len(zone.ask("web.service.consul", edns=512).answer)
    assert 12 == len(zone.ask("web.service.consul", edns=1232).answer)
    assert 12 == len(zone.ask("web.service.consul", udp=False).answer)


def test_all_orders_are_as_likely() -> None:
    """Each instance comes first about as often as any other, also among those that do not all fit."""
    zone = _zone(4)
    for udp in (True, False):
        firsts = [zone.ask("web.service.consul", udp=udp).answer[0] for _ in range(400)]
        assert all(60 < firsts.count(row) < 140 for row in set(firsts)), firsts
        assert 4 == len(set(firsts))


def test_the_limit_of_answers_is_a_setting() -> None:
    """0 is as many as fit into 512 bytes."""
    assert 5 == len(_zone(12, ZoneSettings(udp_answer_limit=5)).ask("web.service.consul").answer)
    answer = _zone(60, ZoneSettings(udp_answer_limit=0)).ask("web.service.consul")
    assert 20 < len(answer.answer) < 60
    assert answer.size <= 512


def test_no_message_exceeds_what_its_client_takes() -> None:
    """Answers go with their additional records; every answer that is there has its address."""
    zone = _zone(200, name="a-node-with-quite-a-long-name-for-a-node")
    for size in (512, 600, 1232, 4096):
        answer = zone.ask("web.service.consul", "SRV", edns=size)
        assert answer.size <= max(size, 512)
        assert len(answer.answer) == len(answer.additional) > 0
        targets = {row.split()[-1] for row in answer.answer}
        assert targets == {row.split()[0] for row in answer.additional}
    whole = zone.ask("web.service.consul", "SRV", udp=False)
    assert 200 == len(whole.answer) == len(whole.additional)


def test_more_than_a_stream_holds_is_cut_too() -> None:
    """64 KiB is the most that a message can be."""
    answer = _zone(1200, name="a-node-with-quite-a-long-name-for-a-node").ask(
        "web.service.consul", "SRV", udp=False
    )
    assert 60_000 < answer.size <= 65_535
    assert answer.answer


def test_large_metadata_gives_way_to_the_answer() -> None:
    """What is additional is left out before an answer is; long texts are split."""
    zone = Zone()
    zone.node("n1", "10.0.0.1", meta={"key": "x" * 700})
    zone.service("web")
    answer = zone.ask("n1.node.consul")
    assert (["n1.node.consul. 0 A 10.0.0.1"], [], "qr aa rd") == (
        answer.answer,
        answer.additional,
        answer.flags,
    )
    assert 1 == len(zone.ask("web.service.consul", "SRV").answer)
    assert "qr aa tc rd" == zone.ask("n1.node.consul", "TXT").flags
    (text,) = zone.ask("n1.node.consul", "TXT", udp=False).answer
    assert "key=" + "x" * 700 == text.split(" TXT ")[1].replace("|", "")


def test_edns_is_answered_with_edns() -> None:
    """The OPT record says what this server takes; a version that nobody knows is BADVERS."""
    zone = _zone(1)
    assert "." == zone.ask("web.service.consul", edns=1232).opt[0]
    assert "" == zone.ask("web.service.consul").opt
    query = bytearray(make_query("web.service.consul", edns=1232))
    query[-5] = 1
    answer = parse(zone.answerer.answer(bytes(query)))
    assert ([], ". 16777216 OPT") == (answer.answer, answer.opt)
