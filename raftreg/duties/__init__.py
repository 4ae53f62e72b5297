"""What somebody has to do in time: the only part that watches clocks and turns time into commands.

What is guaranteed
    * A TTL check expires no earlier than its TTL after the last heartbeat that was acknowledged, and, as long as there
      is a leader, soon after. A new leader gives every deadline one full TTL of grace.
    * A session that has a TTL ends no earlier than that after the last renewal that was acknowledged, and within a
      tenth of it more, as long as there is a leader. A new leader gives every session one full TTL of grace. A lock
      delay ends no earlier than it says.
    * A node of this cluster that its leader lost turns critical (`serfHealth`) after `lost_after_s`, and passing when
      it is back. What was registered through it with an address of its own moves to a living node.
    * A learner that keeps up becomes a voter, unless it is a standby. Members are replaced or removed only if operators
      have set so, one at a time, and by the same rules that hold for operators (`autopilot`). The node of a member that
      was removed leaves the catalog.
    * A duty does not die: expected failures are tried again, anything else is logged with its traceback and the duty
      goes on, with growing pauses.
What is not
    * That last thing when the leader dies right after a removal: the node then stays as one that is lost, until
      somebody makes it leave (`/v1/agent/force-leave`).
    * Probing: checks with an address to probe are the business of `raftreg.checks` on the node that they belong to.
    * Exactness: deadlines are late by the time that a command takes, and by up to a tenth of a second.

Only the leader acts for the cluster; each node sees to its own record. Commands name what their sender saw (the
modify_index of a check), so that one that comes too late changes nothing.
One data flow: topics and heartbeats -> what is due (pure, on a given time) -> commands -> `Registry.write`.
"""

from raftreg.duties.duties import Duties

__all__ = ["Duties"]
