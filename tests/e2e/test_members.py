"""Members come and go under load: nothing is lost, nothing is stale, and no client sees an error (`members`)."""

from pathlib import Path

from tests.e2e import members


def wrote(outcome: members.Outcome) -> int:
    """How many writes were acknowledged, all of which were looked for in the end."""
    assert outcome.traffic is not None
    return len(outcome.traffic.acknowledged)


def test_a_cluster_grows_is_replaced_and_shrinks_while_its_leaders_are_killed(tmp_path: Path) -> None:
    """1 -> 3 -> 4, none of the first is left, and back to three."""
    outcome = members.life(tmp_path, 1, size=4)
    assert wrote(outcome)
    assert outcome.traffic is not None
    assert {"", "consistent", "stale"} == {mode for _, mode in outcome.traffic.reads}


def test_a_lost_disk_is_replaced_without_an_operator(tmp_path: Path) -> None:
    """Deleted under a running node, and after kill -9: it is a voter again."""
    outcome = members.wipe(tmp_path, 500, 0.2, module="tests.e2e.impatient")
    assert 2 == sum(name.startswith("voter again") for name in outcome.figures)


def test_two_wrecks_wait_for_the_third(tmp_path: Path) -> None:
    """A node that lags and one that lost its disk elect nobody; with the third back nothing is lost."""
    assert wrote(members.three_wrecks(tmp_path, 0.2))


def test_all_nodes_move_to_other_addresses(tmp_path: Path) -> None:
    """One after the other; and then they find each other though all start at once."""
    assert wrote(members.moves(tmp_path, 0.2))


def test_one_of_three_becomes_a_cluster_of_its_own(tmp_path: Path) -> None:
    """It grows again, and those that are given up neither come back nor stop it."""
    assert wrote(members.recover(tmp_path, 0.2))
