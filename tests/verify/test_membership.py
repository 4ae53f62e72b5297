"""Changes of the members of a cluster under test: each step follows from what there is, whatever came of the last."""

import pytest

from raftreg.verify.membership import Step, View, admit, expel, towards

N1, N2 = ("n1", True, True), ("n2", True, True)


def view(*members: tuple[str, bool, bool], waiting: tuple[str, ...] = ()) -> View:
    """Members by name, vote and connection, whose ids are name.a; strangers, whose ids are name.b."""
    return View({f"{member[0]}.a": member for member in members}, {f"{name}.b": name for name in waiting})


@pytest.mark.parametrize(
    ("seen", "step"),
    [
        (view(N1, N2), None),
        (view(N1, waiting=("n2",)), ("add", {"Member": "n2.b"})),
        (view(N1), ("add", {"Member": "n2"})),
        (view(N1, ("n2", True, False), waiting=("n2",)), ("replace", {"Old": "n2.a", "New": "n2.b"})),
        (view(N1, ("n2", True, False)), ("add", {"Member": "n2"})),
        (view(N1, ("n2", False, True)), ("promote", {"Member": "n2.a"})),
        (view(N1, N2, ("spare", True, True)), ("remove", {"Member": "spare.a"})),
        (view(N1, ("n2", False, True), ("spare", True, True)), ("promote", {"Member": "n2.a"})),
    ],
)
def test_step_by_step_the_wanted_nodes_become_the_voters(seen: View, step: Step) -> None:
    """Who is missing comes first, who is too many goes last; a member that is away is waited for."""
    assert step == towards(seen, ["n1", "n2"])


def test_a_spare_node_is_let_in_and_a_member_goes() -> None:
    """Added, promoted, done; removed, done."""
    assert ("add", {"Member": "spare"}) == admit("spare")(view(N1))
    assert ("promote", {"Member": "spare.a"}) == admit("spare")(view(N1, ("spare", False, True)))
    assert admit("spare")(view(N1, ("spare", True, True))) is None
    assert ("remove", {"Member": "n1.a"}) == expel("n1")(view(N1, N2))
    assert expel("n1")(view(N2)) is None
