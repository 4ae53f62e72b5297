"""The errors of raftreg, told apart by what the caller may conclude.

    RaftregError
    ├── Refused             the request itself is wrong; carries the HTTP status and the text
    ├── NotApplied          definite: nothing happened, safe to retry
    │   ├── NoLeader        nobody leads, or nobody could be asked in time
    │   │   └── Removed     whoever leads, this node has no part in it any more; ask a member
    │   ├── NotLeader       this node does not lead (any more); ask again elsewhere
    │   │   └── HandingOver it leads, but has to go: it gives the lead away, ask the next leader
    │   └── Overloaded      too much in flight; retry after `retry_after_s`
    ├── OutcomeUnknown      indefinite: the write may or may not have happened
    └── StartRefused        an operator's mistake: one line, exit code 1
        ├── ConfigError     a setting is missing, unknown or malformed
        ├── NewerFormat     something was written by a newer release than this one
        └── Damaged         a file on disk is not what was written; names file, offset and remedy

    Fatal (BaseException)   the process must stop now; nothing may catch it but the supervisor of the loop

The split into definite and indefinite failures follows Jepsen's Maelstrom protocol
(https://github.com/jepsen-io/maelstrom, doc/protocol.md, "Errors").
"""


class RaftregError(Exception):
    """Root of all expected errors."""


class Refused(RaftregError):
    """The request cannot be done as it stands. `status` is an HTTP status, `text` the body for the client."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class NotApplied(RaftregError):
    """Definite failure: nothing was changed, and it is safe to try again."""


class NoLeader(NotApplied):
    """No leader is known, or none confirmed itself in time."""


class Removed(NoLeader):
    """This node was removed from its cluster, and takes nothing more. The text is for clients."""


class NotLeader(NotApplied):
    """This node does not lead; nothing was appended to the log."""


class HandingOver(NotLeader):
    """This leader began to give the lead away, because what was asked takes another leader; nothing was done."""


class Overloaded(NotApplied):
    """Too many commands or bytes are in flight. `retry_after_s` is a hint in seconds."""

    def __init__(self, text: str, retry_after_s: float = 1.0) -> None:
        super().__init__(text)
        self.retry_after_s = retry_after_s


class OutcomeUnknown(RaftregError):
    """Indefinite failure: the write may have happened, or may still happen."""


class StartRefused(RaftregError):
    """The node may not start (or go on) like this. The message is one line that says what to do."""


class ConfigError(StartRefused):
    """A setting is missing, unknown or malformed."""


class NewerFormat(StartRefused):
    """Something that a newer release wrote or said. Never skipped: who meets it says so, and waits to be upgraded."""


class Damaged(StartRefused):
    """A file on disk fails its checks and may not be repaired silently."""

    def __init__(self, path: str, offset: int, what: str, remedy: str) -> None:
        super().__init__(f"{path}: {what} at offset {offset}. {remedy}")
        self.path = path
        self.offset = offset
        self.what = what


class Fatal(BaseException):
    """Fail-stop: going on could break a promise (a failed fsync, a broken invariant, a bug in apply)."""
