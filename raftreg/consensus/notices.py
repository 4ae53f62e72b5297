"""What a node says in its log about its peers and about strangers: each thing once, not at every attempt."""

import logging

logger = logging.getLogger("raftreg.consensus.transport")

SUBJECTS_MAX = 256
TEXTS_MAX = 16


class Notices:
    """Warnings that are not repeated until all was well with their subject."""

    def __init__(self) -> None:
        self._said: dict[str, set[str]] = {}

    def say(self, subject: str, text: str, *, same: str | None = None) -> None:
        """Warn, unless that was said about `subject` before. `same` stands for the text where details of it vary."""
        key = same or text
        said = self._said.setdefault(subject, set())
        if key in said:
            return
        if len(said) >= TEXTS_MAX:
            said.clear()
        said.add(key)
        if len(self._said) > SUBJECTS_MAX:
            del self._said[next(iter(self._said))]
        logger.warning("%s", text)

    def forget(self, subject: str) -> None:
        """All is well with the subject: what comes is worth saying again."""
        self._said.pop(subject, None)
