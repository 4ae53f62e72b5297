"""HTTP probes of real targets: what is sent, what the answer means, and what a failure says."""

from typing import Any

import pytest

from raftreg.checks.kinds import ProbeSettings
from raftreg.checks.outcome import Outcome
from tests.checks.targets import CERTIFICATE, Target, answer, probed, run


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("200 OK", "passing"),
        ("204 No Content", "passing"),
        ("299 Fine", "passing"),
        ("429 Too Many Requests", "warning"),
        ("301 Moved Permanently", "critical"),
        ("404 Not Found", "critical"),
        ("500 Internal Server Error", "critical"),
    ],
)
def test_the_status_of_the_answer_is_that_of_the_check(status: str, expected: str) -> None:
    """2xx passes, 429 warns, all else is critical; the output names method, URL, status and body."""

    async def scenario() -> None:
        async with Target(answer(status, b"" if status.startswith("204") else b"body")).listening() as target:
            url = target.url + "/health?x=1"
            body = "" if status.startswith("204") else "body"
            outcome = await probed("http", HTTP=url)
        assert Outcome(expected, f"HTTP GET {url}: {status} Output: {body}") == outcome  # type: ignore[arg-type]

    run(scenario)


def test_a_request_is_what_the_definition_says() -> None:
    """Method, path, headers (several of one name) and body are sent; those that frame the request are its own."""

    async def scenario() -> None:
        async with Target(answer("200 OK")).listening() as target:
            await probed("http", HTTP=target.url)
            await probed(
                "http",
                HTTP=target.url + "/a b?q=ü#part",
                Method="POST",
                Header={
                    "X-A": ["1", "2"],
                    "Host": ["web.example"],
                    "content-length": ["7"],
                    "User-Agent": ["me"],
                },
                Body='{"deep": true}',
            )
            first, second = (one.decode() for one in target.requests)
        assert (
            f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{target.port}\r\nUser-Agent: Consul Health Check\r\n"
            "Accept: text/plain, text/*, */*\r\nConnection: close\r\n\r\n"
        ) == first
        assert (
            "POST /a%20b?q=%C3%BC HTTP/1.1\r\nHost: web.example\r\nAccept: text/plain, text/*, */*\r\n"
            "X-A: 1\r\nX-A: 2\r\nUser-Agent: me\r\nContent-Length: 14\r\nConnection: close\r\n\r\n"
            '{"deep": true}'
        ) == second

    run(scenario)


def test_a_user_in_the_url_is_sent_as_credentials() -> None:
    """As a browser or Go would."""

    async def scenario() -> None:
        async with Target(answer("200 OK")).listening() as target:
            await probed("http", HTTP=f"http://us%65r:pass@127.0.0.1:{target.port}/")
            assert b"Authorization: Basic dXNlcjpwYXNz\r\n" in target.requests[0]

    run(scenario)


def test_redirects_are_followed() -> None:
    """A 302 becomes a GET without body, a 307 repeats the request; the end of the way decides."""

    async def scenario() -> None:
        moves = [answer("302 Found", b"", "Location: /next"), answer("307 Temporary", b"", "Location: last")]
        async with Target(*moves, answer("200 OK", b"there")).listening() as target:
            outcome = await probed("http", HTTP=target.url + "/a/b", Method="PUT", Body="x")
            lines = [one.partition(b" HTTP")[0].decode() for one in target.requests]
        assert ["PUT /a/b", "GET /next", "GET /last"] == lines
        assert Outcome("passing", f"HTTP PUT {target.url}/a/b: 200 OK Output: there") == outcome

    run(scenario)


def test_credentials_do_not_follow_to_another_host() -> None:
    """What was meant for one host is not told to another one that it names."""

    async def scenario() -> None:
        async with Target(answer("200 OK")).listening() as other:
            move = answer("301 Moved", b"", f"Location: http://localhost:{other.port}/")
            async with Target(move).listening() as target:
                headers = {"Authorization": ["secret"], "X-Other": ["told"]}
                assert "passing" == (await probed("http", HTTP=target.url, Header=headers)).status
            assert b"secret" not in other.requests[0]
            assert b"X-Other: told" in other.requests[0]

    run(scenario)


def test_redirects_may_be_switched_off_and_have_an_end() -> None:
    """With DisableRedirects the redirect is the answer; a circle is given up."""

    async def scenario() -> None:
        async with Target(answer("302 Found", b"", "Location: /")).listening() as target:
            one = await probed("http", HTTP=target.url, DisableRedirects=True)
            assert Outcome("critical", f"HTTP GET {target.url}: 302 Found Output: ") == one
            circle = await probed("http", HTTP=target.url)
            assert Outcome("critical", 'Get "/": stopped after 10 redirects') == circle

    run(scenario)


def test_a_target_that_does_not_answer_is_critical_after_the_timeout() -> None:
    """Without a head the probe times out; with one, the status counts whatever becomes of the body."""

    async def scenario() -> None:
        async with Target(b"", stays_open=True).listening() as target:
            outcome = await probed("http", timeout_s=0.2, HTTP=target.url)
        text = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        assert Outcome("critical", f'Get "{target.url}": {text}') == outcome
        begun = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun"
        async with Target(begun, stays_open=True).listening() as target:
            outcome = await probed("http", timeout_s=0.2, HTTP=target.url)
        assert Outcome("passing", f"HTTP GET {target.url}: 200 OK Output: begun") == outcome

    run(scenario)


def test_an_answered_request_does_not_wait_for_the_end_of_the_connection() -> None:
    """A target that keeps the connection is probed as fast as one that closes it."""

    async def scenario() -> None:
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
        async with Target(chunked, stays_open=True).listening() as target:
            outcome = await probed("http", timeout_s=15, HTTP=target.url)
        assert Outcome("passing", f"HTTP GET {target.url}: 200 OK Output: ok") == outcome

    run(scenario)


def test_output_is_bounded_and_may_be_bounded_further() -> None:
    """Of a long body the last 4096 bytes are kept, or as many as OutputMaxSize says; bad UTF-8 is replaced."""

    async def scenario() -> None:
        async with Target(answer("200 OK", b"a" * 5000 + b"\xffz")).listening() as target:
            outcome = await probed("http", HTTP=target.url)
            assert "a" * 4094 + "\ufffdz" == outcome.output.partition("Output: ")[2]
            outcome = await probed("http", HTTP=target.url, OutputMaxSize=3)
            assert "a\ufffdz" == outcome.output.partition("Output: ")[2]

    run(scenario)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1:1/x", 'Get "{}": dial tcp 127.0.0.1:1: connect: connection refused'),
        ("http://no-such-host.invalid/", 'Get "{}": dial tcp: lookup no-such-host.invalid: no such host'),
        ("ftp://127.0.0.1/", 'Get "{}": unsupported protocol scheme "ftp"'),
        ("http:///path", 'Get "{}": http: no Host in request URL'),
        ("http://127.0.0.1:x/", 'parse "{}": invalid port ":x" after host'),
        ("http://127.0.0.1/%zz", 'parse "{}": invalid URL escape "%zz"'),
        ("127.0.0.1:80", 'parse "{}": first path segment in URL cannot contain colon'),
        ("localhost/x", 'Get "{}": unsupported protocol scheme ""'),
    ],
)
def test_what_cannot_be_asked_is_critical_and_says_why(url: str, said: str) -> None:
    """The words are those of Go, which people know from Consul."""

    async def scenario() -> None:
        assert Outcome("critical", said.format(url)) == await probed("http", HTTP=url)

    run(scenario)


@pytest.mark.parametrize(
    "options",
    [
        {"Header": {"X": ["a\r\nY: b"]}},
        {"Header": {"X\r\nY": ["b"]}},
        {"Method": "GET / HTTP/1.1\r\nX:"},
        {"Header": {"Host": ["a\r\nY: b"]}},
    ],
)
def test_a_definition_cannot_smuggle_lines_into_a_request(options: dict[str, Any]) -> None:
    """Line ends in a method, a name or a value are refused, and nothing is sent."""

    async def scenario() -> None:
        async with Target(answer("200 OK")).listening() as target:
            outcome = await probed("http", HTTP=target.url, **options)
            assert ("critical", []) == (outcome.status, target.requests)
            assert "net/http: invalid " in outcome.output

    run(scenario)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"HTTP": "http://x/a\nb"}, 'parse "http://x/a\\nb": net/url: invalid control character in URL'),
        ({"HTTP": "http://x/", "Method": "A B"}, 'net/http: invalid method "A B"'),
        (
            {"HTTP": "http://x/", "Header": {"X": ["a\r\nb"]}},
            'Get "http://x/": net/http: invalid header field value "a\\r\\nb" for key X',
        ),
    ],
)
def test_what_no_request_can_be_made_of_is_said(options: dict[str, Any], said: str) -> None:
    """As Consul says it."""

    async def scenario() -> None:
        assert Outcome("critical", said) == await probed("http", **options)

    run(scenario)


def test_a_head_that_cannot_be_read_is_critical() -> None:
    """A good status does not help a response whose end cannot be known."""

    async def scenario() -> None:
        async with Target(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n").listening() as target:
            outcome = await probed("http", HTTP=target.url)
        said = 'net/http: HTTP/1.x transport connection broken: bad Content-Length "x"'
        assert Outcome("critical", f'Get "{target.url}": {said}') == outcome

    run(scenario)


def test_https_is_verified_unless_it_is_not_to_be() -> None:
    """An unknown authority or a wrong name is critical; TLSSkipVerify, check-ca-file and TLSServerName help."""

    async def scenario() -> None:
        async with Target(answer("200 OK")).listening(tls=True) as target:
            url = f"https://localhost:{target.port}/"
            unknown = f'Get "{url}": x509: certificate signed by unknown authority'
            assert Outcome("critical", unknown) == await probed("http", HTTP=url)
            assert "passing" == (await probed("http", HTTP=url, TLSSkipVerify=True)).status
            trusting = ProbeSettings(ca_file=CERTIFICATE, environ={})
            assert "passing" == (await probed("http", settings=trusting, HTTP=url)).status
            by_address = f"https://127.0.0.1:{target.port}/"
            wrong = f'Get "{by_address}": x509: certificate is not valid for 127.0.0.1'
            assert Outcome("critical", wrong) == await probed("http", settings=trusting, HTTP=by_address)
            named = await probed("http", settings=trusting, HTTP=by_address, TLSServerName="target.example")
            assert "passing" == named.status

    run(scenario)


def test_the_wrong_protocol_is_said() -> None:
    """HTTPS to a plain port, and HTTP to something else."""

    async def scenario() -> None:
        async with Target(answer("400 Bad Request"), impatient=True).listening() as target:
            url = f"https://127.0.0.1:{target.port}/"
            said = f'Get "{url}": http: server gave HTTP response to HTTPS client'
            assert Outcome("critical", said) == await probed("http", timeout_s=15, HTTP=url)
        async with Target(b"SSH-2.0-x\r\n", stays_open=True).listening() as target:
            outcome = await probed("http", timeout_s=15, HTTP=target.url)
            assert 'malformed HTTP response "SSH-2.0-x"' in outcome.output

    run(scenario)
