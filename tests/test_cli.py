"""The command line against a node in memory: what is printed, and how each command fails."""

import base64
import http.server
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from raftreg import __version__
from raftreg.cli.root import raftreg
from raftreg.settings import SETTINGS
from tests.dev_node import DevNode


@pytest.fixture(scope="module")
def node() -> Iterator[DevNode]:
    """One node for all tests here; they use keys and services of their own."""
    with DevNode(node="n1") as running:
        yield running


class Runner:
    """Runs commands as a user would, with a node to talk to."""

    def __init__(self, address: str) -> None:
        self._environ = {"RAFTREG_HTTP_ADDR": address}

    def run(self, *arguments: str, given: bytes | None = None) -> Result:
        """One command, whatever becomes of it."""
        return CliRunner(env=self._environ).invoke(raftreg, arguments, input=given, prog_name="raftreg")

    def output(self, *arguments: str, given: bytes | None = None) -> str:
        """What a command that must succeed prints."""
        result = self.run(*arguments, given=given)
        assert (0, "") == (result.exit_code, result.stderr)
        return result.stdout

    def failure(self, *arguments: str) -> str:
        """The one line of a command that must fail with exit code 1."""
        result = self.run(*arguments)
        assert (1, "") == (result.exit_code, result.stdout)
        (line,) = result.stderr.splitlines()
        return line.removeprefix("raftreg: ")


class Stranger:
    """An HTTP server that answers everything with the same bytes."""

    def __init__(self, body: bytes) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", "0")))
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_PUT = do_DELETE = do_GET

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> str:
        self._thread.start()
        return f"127.0.0.1:{self._server.server_port}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def cli(node: DevNode) -> Runner:
    """Commands that ask the node."""
    return Runner(node.address)


class TestKeys:
    """`raftreg kv`."""

    def test_put_get_list_delete(self, cli: Runner) -> None:
        """The life of a key."""
        assert "stored a/b c\n" == cli.output("kv", "put", "a/b c", "välue")
        assert "välue\n" == cli.output("kv", "get", "a/b c")
        assert "välue\n" == cli.output("kv", "get", "a/b c", "--consistent")
        assert "a/b c:välue\n" == cli.output("kv", "get", "a/", "--recurse", "--stale")
        assert "a/b c\n" == cli.output("kv", "list", "a/")
        assert "a/\n" == cli.output("kv", "list", "a", "--separator", "/")
        assert "deleted a/b c\n" == cli.output("kv", "delete", "a/b c")
        assert 'there is no key "a/b c"' == cli.failure("kv", "get", "a/b c")
        assert "" == cli.output("kv", "list", "a/")

    def test_flags_and_compare_and_set(self, cli: Runner) -> None:
        """A write is refused when somebody was faster, with an exit code that scripts can use."""
        cli.output("kv", "put", "cas", "1", "--flags", "42", "--cas", "0")
        header, row = cli.output("kv", "get", "cas", "--detailed").splitlines()
        assert ["Key", "Value", "Flags", "CreateIndex", "ModifyIndex"] == header.split()
        key, value, flags, _, index = row.split()
        assert ("cas", "1", "42") == (key, value, flags)
        assert 'not stored: "cas" is not at index 0' == cli.failure("kv", "put", "cas", "2", "--cas", "0")
        cli.output("kv", "put", "cas", "2", "--cas", index)
        assert f'not deleted: "cas" is not at index {index}' == cli.failure(
            "kv", "delete", "cas", "--cas", index
        )

    def test_values_from_input_and_file(self, cli: Runner, tmp_path: Path) -> None:
        """A hyphen reads standard input, an at sign a file, byte for byte."""
        cli.output("kv", "put", "in", "-", given=b"\x00\xff")
        assert b"\x00\xff\n" == cli.run("kv", "get", "in").stdout_bytes
        (tmp_path / "f").write_bytes(b"from file")
        cli.output("kv", "put", "file", f"@{tmp_path}/f")
        assert "from file\n" == cli.output("kv", "get", "file")
        assert f"{tmp_path}/no cannot be read: No such file or directory" == cli.failure(
            "kv", "put", "file", f"@{tmp_path}/no"
        )

    def test_the_nodes_own_words_are_passed_on(self, cli: Runner) -> None:
        """What the API refuses is one line with its status."""
        assert "answers 400: Missing key name" in cli.failure("kv", "put", "", "x")


class TestServices:
    """`raftreg services`."""

    def test_register_find_deregister(self, cli: Runner) -> None:
        """The life of an instance."""
        arguments = [
            "--id",
            "web-1",
            "--address",
            "10.0.0.7",
            "--port",
            "8080",
            "--tag",
            "blue",
            "--meta",
            "a=b",
        ]
        assert "registered web-1\n" == cli.output("services", "register", "web", *arguments)
        header, row = cli.output("services", "find", "web").splitlines()
        assert ["ID", "Address", "Port", "Node", "Status", "Tags"] == header.split()
        assert ["web-1", "10.0.0.7", "8080", "n1", "passing", "blue"] == row.split()
        assert "web" in cli.output("services", "list")
        assert 'there is no instance of "web"' == cli.failure("services", "find", "web", "--tag", "red")
        assert "deregistered web-1\n" == cli.output("services", "deregister", "web-1")
        assert 'there is no instance of "web"' == cli.failure("services", "find", "web")
        assert cli.failure("services", "deregister", "web-1").startswith(
            'there is no service with the ID "web-1"'
        )

    def test_a_time_to_live_makes_a_check(self, cli: Runner) -> None:
        """An instance with --ttl is passing at first."""
        cli.output("services", "register", "job", "--ttl", "30s")
        assert "passing" in cli.output("services", "find", "job", "--passing")

    def test_bad_metadata_is_wrong_usage(self, cli: Runner) -> None:
        """Exit code 2, and how to write it."""
        result = cli.run("services", "register", "web", "--meta", "nonsense")
        assert 2 == result.exit_code
        assert "write KEY=VALUE" in result.stderr


class TestCluster:
    """`raftreg members` and `raftreg status`."""

    def test_members_lists_the_node(self, cli: Runner) -> None:
        """The node is there and alive."""
        assert any({"n1", "alive"} <= set(line.split()) for line in cli.output("members").splitlines())

    def test_status_shows_role_indexes_and_health(self, cli: Runner, node: DevNode) -> None:
        """One row per node, and who leads."""
        header, row, leader = cli.output("status").splitlines()
        assert ["Node", "HTTP", "Role", "Term", "Commit", "Applied", "Lag", "Health"] == header.split()
        name, http, role, _, commit, applied, lag, health = row.split()
        assert ("n1", node.address, "leader", commit, "0", "ok") == (name, http, role, applied, lag, health)
        assert leader.endswith("leader n1")


class TestFailures:
    """What a user sees when there is nobody to ask."""

    def test_nobody_listens(self) -> None:
        """The line says how to start a node."""
        said = Runner("127.0.0.1:1").failure("kv", "get", "a")
        assert "cannot reach http://127.0.0.1:1: is a node running? start one with raftreg dev" == said

    def test_the_flag_wins_over_the_environment(self, node: DevNode) -> None:
        """--http-addr, RAFTREG_HTTP_ADDR, CONSUL_HTTP_ADDR, in this order."""
        Runner("127.0.0.1:1").output("members", "--http-addr", f"http://{node.address}")
        found = CliRunner(env={"CONSUL_HTTP_ADDR": f"http://{node.address}/"}).invoke(raftreg, ["members"])
        assert 0 == found.exit_code

    @pytest.mark.parametrize(
        ("address", "said"),
        [
            ("https://x:1", "only http:// is spoken"),
            ("x:y:z", "bad address"),
            ("host:abc", 'bad address "host:abc": the port must be a number'),
            ("a b:1", 'bad address "a b:1"'),
            ("[::1", "Invalid IPv6"),
        ],
    )
    def test_bad_addresses(self, address: str, said: str) -> None:
        """What cannot be asked is shown back."""
        assert said in Runner(address).failure("members")

    @pytest.mark.parametrize("answer", [b"null", b"{}", b"[1]", b'"x"', b"<html>"])
    @pytest.mark.parametrize(
        "command",
        ["kv get a", "kv put a b", "kv delete a", "status", "members", "services list", "services find a"],
    )
    def test_somebody_else_answers(self, answer: bytes, command: str) -> None:
        """What is no node of raftreg, but speaks HTTP, gives a line and no traceback."""
        with Stranger(answer) as address:
            result = Runner(address).run(*command.split())
        assert not result.exception or isinstance(result.exception, SystemExit), result.exception
        assert 2 > len(result.stderr.splitlines())

    def test_names_that_lead_elsewhere(self, cli: Runner) -> None:
        """Keys that no path can name are refused with the reason."""
        for key in ("/a", "a//b", "../a"):
            assert "names do not begin with /" in cli.failure("kv", "put", key, "v")

    def test_names_cannot_move_the_cursor(self, cli: Runner) -> None:
        """Control characters in what others registered do not reach the terminal."""
        cli.output("services", "register", "evil\x1b[2J", "--id", "evil")
        assert "evil?[2J" in cli.output("services", "list")
        cli.output("services", "deregister", "evil")

    def test_unknown_commands_and_flags_are_wrong_usage(self) -> None:
        """Exit code 2."""
        assert 2 == Runner("127.0.0.1:1").run("kvv").exit_code
        assert 2 == Runner("127.0.0.1:1").run("kv", "get").exit_code


class TestWithoutNode:
    """Commands that need no node."""

    def test_version(self, cli: Runner) -> None:
        """The version, by command and by flag."""
        assert f"raftreg {__version__}\n" == cli.output("version") == cli.output("--version")

    def test_keygen_prints_a_key(self, cli: Runner) -> None:
        """32 bytes, and other ones each time."""
        first, second = cli.output("keygen"), cli.output("keygen")
        assert 32 == len(base64.b64decode(first))
        assert first != second

    def test_keygen_writes_a_private_file_and_never_over_one(self, cli: Runner, tmp_path: Path) -> None:
        """Mode 0600; a key that is in use is not replaced."""
        file = tmp_path / "key"
        assert f"wrote {file}" in cli.output("keygen", str(file))
        assert 0o600 == stat.S_IMODE(file.stat().st_mode)
        text = file.read_text()
        assert "exists already" in cli.failure("keygen", str(file))
        assert text == file.read_text()

    def test_help_names_every_setting(self, cli: Runner) -> None:
        """`raftreg agent --help` has a flag for each setting that may be one."""
        text = cli.output("agent", "--help")
        assert [] == [
            setting.flag for setting in SETTINGS if setting.has_flag and f"{setting.flag} " not in text
        ]

    def test_every_command_says_what_it_does(self, cli: Runner) -> None:
        """No command is without help."""
        assert [] == [name for name, command in raftreg.commands.items() if not command.help]
