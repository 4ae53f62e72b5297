"""What a node says in its log about its peers and about strangers: each thing once, not at every attempt."""

import logging

logger = logging.getLogger("raftreg.consensus.transport")

SUBJECTS_MAX = 256


class Notices:
    """Warnings that are not repeated while nothing else is said about the same subject."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}

    def say(self, subject: str, text: str, *, same: str | None = None) -> None:
        """Warn, unless the last about `subject` was the same. `same` stands for the text where that varies."""
        said = same or text
        if self._said.get(subject) == said:
            return
        if len(self._said) >= SUBJECTS_MAX:
            self._said.clear()
        self._said[subject] = said
        logger.warning("%s", text)

    def forget(self, subject: str) -> None:
        """All is well with the subject: what comes is worth saying again."""
        self._said.pop(subject, None)
