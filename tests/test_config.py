"""Settings: where they come from, which wins, and what each mistake is told."""

import base64
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest

from raftreg.addresses import Address, parse_address, parse_name, parse_peers
from raftreg.config import Config, load
from raftreg.errors import ConfigError, StartRefused
from raftreg.settings import SETTINGS, Setting, parse_host

PEERS = "n1=127.0.0.1:8300,n2=127.0.0.1:8301,n3=127.0.0.1:8302"
KEY = base64.b64encode(bytes(range(32))).decode()


def agent(environ: Mapping[str, str] | None = None, file: Path | None = None, **flags: str | None) -> Config:
    """Load an agent's configuration with the flags that it needs, and these."""
    needed = {"node": "n1", "data_dir": "/tmp/n1", "peers": PEERS}
    merged = {name.replace("_", "-"): text for name, text in (needed | flags).items()}
    return load(merged, environ or {}, file)


def message(environ: Mapping[str, str] | None = None, file: Path | None = None, **flags: str | None) -> str:
    """What is said of a configuration that is refused."""
    with pytest.raises(ConfigError) as caught:
        agent(environ, file, **flags)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def write(path: Path, text: str) -> Path:
    """A file with this text."""
    path.write_text(text)
    return path


class TestSources:
    """File, environment and flags."""

    def test_defaults_are_those_of_the_table(self) -> None:
        """Without more than what is needed, ports and timeouts are the documented ones."""
        config = agent()
        assert Address("127.0.0.1", 8500) == config.http
        assert Address("127.0.0.1", 8300) == config.raft
        assert Address("127.0.0.1", 8600) == config.dns
        assert (10.0, 10.0) == (config.write_timeout_s, config.read_timeout_s)
        assert ("dc1", "info", "lan") == (config.dc, config.log_level, config.timing)
        assert () == config.warnings

    def test_flags_win_over_environment_and_that_over_the_file(self, tmp_path: Path) -> None:
        """The nearer to the command line, the stronger."""
        file = write(
            tmp_path / "c.toml",
            'dc = "from-file"\nhttp = "127.0.0.1:1"\nread-timeout = "1s"\nlog-json = true\n',
        )
        environ = {"RAFTREG_DC": "from-env", "RAFTREG_HTTP": "127.0.0.1:2"}
        config = agent(environ, file, dc="from-flag")
        assert "from-flag" == config.dc
        assert Address("127.0.0.1", 2) == config.http
        assert 1.0 == config.read_timeout_s
        assert config.log_json

    def test_the_environment_may_name_the_file(self, tmp_path: Path) -> None:
        """RAFTREG_CONFIG is read where no file is given."""
        file = write(tmp_path / "c.toml", "snapshot-entries = 7\n")
        assert 7 == agent({"RAFTREG_CONFIG": str(file)}).snapshot_entries

    def test_peers_may_be_a_table(self, tmp_path: Path) -> None:
        """In TOML the peers are a table or the text of the flag."""
        file = write(tmp_path / "c.toml", 'node = "b"\ndata-dir = "/x"\n[peers]\na = "h:1"\nb = "[::1]:2"\n')
        config = load({}, {}, file)
        assert {"a": Address("h", 1), "b": Address("::1", 2)} == config.peers
        assert "::1" == config.advertise

    def test_a_node_may_have_no_peers(self) -> None:
        """It joins, or has a cluster already; the others reach it where it listens."""
        config = agent(peers=None, join="h:1, [::1]:2", raft="127.0.0.5:8300")
        assert (Address("h", 1), Address("::1", 2)) == config.join
        assert ({}, "127.0.0.5", Address("127.0.0.5", 8300)) == (
            config.peers,
            config.advertise,
            config.raft_advertise,
        )
        assert () == agent(peers=None).join

    def test_the_entry_in_peers_is_where_the_others_reach_a_node(self) -> None:
        """Another address in the catalog does not change that."""
        config = agent(peers="n1=10.0.0.1:1,n2=h:2,n3=h:3", advertise="192.0.2.1")
        assert ("192.0.2.1", Address("10.0.0.1", 1)) == (config.advertise, config.raft_advertise)

    def test_wiped_nodes_wait_for_an_operator_unless_told_otherwise(self) -> None:
        """Nothing is replaced by itself by default."""
        assert ("manual", "auto") == (agent().rejoin, agent(rejoin="auto").rejoin)

    def test_dev_needs_nothing(self) -> None:
        """`raftreg dev` runs without node, data directory and peers."""
        config = load({}, {}, in_dev=True)
        assert config.data_dir is None
        assert ("dev", {}) == (config.node, config.peers)

    @pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
    def test_an_empty_value_is_an_error(self, setting: Setting) -> None:
        """An empty variable is a mistake in a unit file, not a wish for the default."""
        with pytest.raises(ConfigError, match=f"^{setting.variable}: the value is empty$"):
            load({}, {setting.variable: ""})


class TestMistakes:
    """One line that says what to do."""

    def test_unknown_key_asks_did_you_mean(self, tmp_path: Path) -> None:
        """A misspelt key of the file names the right one."""
        file = write(tmp_path / "c.toml", 'data_dir = "/x"\n')
        assert f'{file}: unknown key "data_dir": did you mean "data-dir"?' == message(file=file)

    def test_unknown_key_like_nothing_lists_the_known(self, tmp_path: Path) -> None:
        """Where nothing is near, all keys are named."""
        file = write(tmp_path / "c.toml", "zzzzqq = 1\n")
        assert 'unknown key "zzzzqq"; known are node, data-dir,' in message(file=file)

    def test_a_misspelt_variable_is_warned_about(self) -> None:
        """A variable that is nearly a setting is warned about; orchestrators' own variables are not."""
        config = agent({"RAFTREG_DATADIR": "/x", "RAFTREG_SERVICE_HOST": "10.0.0.1"})
        assert (
            "the variable RAFTREG_DATADIR is not known and was ignored: did you mean RAFTREG_DATA_DIR?",
        ) == config.warnings

    @pytest.mark.parametrize("name", ["node", "data_dir"])
    def test_missing_settings_are_named_with_their_flag(self, name: str) -> None:
        """What an agent cannot do without is asked for by flag, variable and key."""
        key = name.replace("_", "-")
        said = message(**{name: None})
        assert said.startswith(f"{key} is missing: give --{key} ")
        assert f"RAFTREG_{name.upper()}" in said

    @pytest.mark.parametrize("text", ["10", "abc", "", "10 s"])
    def test_bad_durations_say_how_to_write_one(self, text: str) -> None:
        """A duration without a unit is refused with examples."""
        said = message(write_timeout=text)
        assert said.startswith("--write-timeout: ")
        assert not text or f'bad duration "{text}": write a number with a unit, such as 500ms' in said

    def test_durations_must_be_above_zero(self) -> None:
        """A timeout of nothing can never be kept."""
        assert '--read-timeout: bad duration "-1s": it must be above zero' == message(read_timeout="-1s")

    def test_own_name_missing_in_peers(self) -> None:
        """A node that its own list does not name is refused, with both said."""
        assert (
            '--peers: this node, "n4", is not among n1, n2, n3: name every node, this one included'
            == message(node="n4")
        )

    def test_peers_and_join_are_refused_together(self) -> None:
        """The one makes a cluster, the other comes to one."""
        assert message(join="h:1").startswith("--join: --peers is given as well")

    @pytest.mark.parametrize("raft", ["0.0.0.0:8300", "[::]:8300"])
    def test_an_address_that_is_none_for_others_needs_another(self, raft: str) -> None:
        """Without peers nothing else says where the others reach the node."""
        key = {"RAFTREG_CLUSTER_KEY": KEY}
        assert f"{raft} is no address by which others reach this node" in message(key, peers=None, raft=raft)
        config = agent(key, peers=None, raft=raft, advertise="10.0.0.1")
        assert Address("10.0.0.1", 8300) == config.raft_advertise

    def test_a_port_that_nobody_knows_is_refused(self) -> None:
        """Any free port is of no use to the others."""
        assert "--raft: the others have to know the port" in message(peers=None, raft="127.0.0.1:0")

    @pytest.mark.parametrize("text", [" , ", "h", "h:0", "n1=h:1", "a..b:1"])
    def test_bad_seeds_are_refused(self, text: str) -> None:
        """They are addresses without names."""
        assert message(peers=None, join=text).startswith("--join: ")

    def test_duplicate_names_are_refused_whatever_their_case(self) -> None:
        """Names compare without regard to case."""
        assert '"N1" is there twice' in message(peers="n1=h:1,N1=h:2")

    def test_duplicate_addresses_are_refused(self) -> None:
        """Two names with one address are one node too few."""
        assert "--peers: n1 and n2 have the same address h:1" == message(peers="n1=h:1,n2=h:1")

    def test_even_numbers_are_warned_about(self) -> None:
        """Four nodes survive no more than three."""
        (warning,) = agent(peers="n1=h:1,n2=h:2,n3=h:3,n4=h:4").warnings
        assert warning.startswith("peers names 4 nodes, an even number")

    def test_a_single_peer_is_warned_about(self) -> None:
        """One node replicates nothing, and what is left in a unit file makes a second cluster when the disk is lost."""
        (warning,) = agent(peers="n1=h:1").warnings
        assert warning.startswith("peers names this node alone")
        assert "run raftreg init once" in warning

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        """A configuration file that is not there is an error, not a default."""
        assert f"{tmp_path}/no.toml: cannot be read: No such file or directory" == message(
            file=tmp_path / "no.toml"
        )

    def test_broken_toml_names_file_and_line(self, tmp_path: Path) -> None:
        """The TOML parser's position is passed on."""
        said = message(file=write(tmp_path / "c.toml", "node = \n"))
        assert f"{tmp_path}/c.toml: is no valid TOML" in said
        assert "line 1" in said

    def test_configuration_errors_are_refused_starts(self) -> None:
        """All of these end the process with exit code 1, as every mistake of an operator."""
        assert issubclass(ConfigError, StartRefused)


class TestClusterKey:
    """The key that nodes prove to each other."""

    def test_a_reachable_raft_port_needs_a_key(self) -> None:
        """Beyond loopback the Raft port is refused without a key, and the line says how to make one."""
        said = message(raft="0.0.0.0:8300")
        assert "no cluster key" in said
        assert "raftreg keygen" in said

    def test_a_reachable_raft_port_with_a_key_is_fine(self) -> None:
        """With a key any address may be bound."""
        config = agent({"RAFTREG_CLUSTER_KEY": KEY}, raft="0.0.0.0:8300")
        assert bytes(range(32)) == config.cluster_key

    def test_a_key_file_is_read(self, tmp_path: Path) -> None:
        """A private file gives the key without a warning."""
        file = write(tmp_path / "key", KEY + "\n")
        file.chmod(0o600)
        config = agent(cluster_key_file=str(file))
        assert (bytes(range(32)), ()) == (config.cluster_key, config.warnings)

    def test_a_key_file_readable_by_others_is_warned_about(self, tmp_path: Path) -> None:
        """Others could join the cluster; the start goes on."""
        file = write(tmp_path / "key", KEY)
        file.chmod(stat.S_IRUSR | stat.S_IRGRP)
        assert (f"the cluster key {file} can be read by others (mode 0440): chmod 600 {file}",) == agent(
            cluster_key_file=str(file)
        ).warnings

    def test_a_bad_key_is_refused_and_not_shown(self, tmp_path: Path) -> None:
        """The message tells what a key is and keeps the secret."""
        file = write(tmp_path / "key", "c2VjcmV0")
        said = message(cluster_key_file=str(file))
        assert "not base64 of 32 bytes: make a key with raftreg keygen" in said
        assert "c2VjcmV0" not in said

    def test_both_file_and_variable_are_refused(self, tmp_path: Path) -> None:
        """Two keys leave it open which counts."""
        said = message({"RAFTREG_CLUSTER_KEY": KEY}, cluster_key_file=str(write(tmp_path / "k", KEY)))
        assert "RAFTREG_CLUSTER_KEY as well" in said

    def test_the_key_stays_out_of_the_configuration_file(self, tmp_path: Path) -> None:
        """The file is often in version control."""
        assert "keep the key out of this file" in message(
            file=write(tmp_path / "c.toml", f'cluster-key = "{KEY}"\n')
        )


class TestAddresses:
    """Text of addresses, names and peers."""

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("127.0.0.1:8300", Address("127.0.0.1", 8300)),
            ("[::1]:8300", Address("::1", 8300)),
            ("n1.example.org:1", Address("n1.example.org", 1)),
        ],
    )
    def test_addresses_are_read_and_written_alike(self, text: str, expected: Address) -> None:
        """What was parsed is shown as it was written."""
        assert expected == parse_address(text)
        assert text == str(expected)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "8500",
            ":8500",
            "::1:8500",
            "host",
            "h:",
            "h:x",
            "h:65536",
            "h:-1",
            "[::1]",
            "h:\u0661",
            "a..b:1",
        ],
    )
    def test_bad_addresses_are_refused(self, text: str) -> None:
        """Each is shown back with how to write one."""
        with pytest.raises(ValueError, match=r"^bad address"):
            parse_address(text)

    @pytest.mark.parametrize(
        ("address", "expected"),
        [
            (Address("127.0.0.1", 1), True),
            (Address("127.9.9.9", 1), True),
            (Address("::1", 1), True),
            (Address("localhost", 1), True),
            (Address("0.0.0.0", 1), False),
            (Address("::", 1), False),
            (Address("n1.example", 1), False),
        ],
    )
    def test_loopback_is_told_apart(self, address: Address, expected: bool) -> None:
        """Only what certainly stays on this machine counts as loopback."""
        assert expected is address.is_loopback

    @pytest.mark.parametrize("text", ["", "-a", "a-", "a b", "a.b", "a" * 64, "ä", "a_b"])
    def test_bad_names_are_refused(self, text: str) -> None:
        """Names become DNS labels."""
        with pytest.raises(ValueError, match=r"^bad name"):
            parse_name(text)

    @pytest.mark.parametrize("text", ["", "a:1", "a/b", "a b"])
    def test_bad_hosts_are_refused(self, text: str) -> None:
        """An advertised address has no port."""
        with pytest.raises(ValueError, match=r"^bad host"):
            parse_host(text)

    @pytest.mark.parametrize("text", ["", " , ", "n1", "n1=", "n1=h:0", "=h:1"])
    def test_bad_peers_are_refused(self, text: str) -> None:
        """Peers need names and ports."""
        with pytest.raises(ValueError, match=r"peer|name|address"):
            parse_peers(text)
