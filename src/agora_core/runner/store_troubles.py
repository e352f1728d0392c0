"""What a state store cannot do now, so that nobody has to read the log to know."""

from enum import StrEnum
from logging import getLogger

from agora_core.runner.failures import error_line

log = getLogger("agora.runner")


class Deed(StrEnum):
    """What a worker asks of its store beside writing, and how it is told that this fails."""

    CLAIM = "its claim cannot be renewed"
    PRUNE = "its history cannot be pruned"
    ANSWER = "it cannot be asked for requests"


_BEGINS = {
    Deed.CLAIM: "state store cannot be claimed",
    Deed.PRUNE: "state store cannot be pruned",
    Deed.ANSWER: "state store cannot be asked for requests",
}
_ENDS = {
    Deed.CLAIM: "state store is claimed again",
    Deed.PRUNE: "state store is pruned again",
    Deed.ANSWER: "state store is asked for requests again",
}


class StoreTroubles:
    """The deeds that fail at present; each is logged when that begins, and when it is over. Read from any thread."""

    def __init__(self) -> None:
        self._lines: dict[Deed, str] = {}

    @property
    def sentences(self) -> tuple[str, ...]:
        """What fails and why, a sentence each."""
        lines = self._lines
        return tuple(f"{deed}: {lines[deed]}" for deed in Deed if deed in lines)

    def failed(self, deed: Deed, error: Exception) -> None:
        """A deed failed."""
        line = error_line(error)
        if self._lines.get(deed) != line:
            self._lines = {**self._lines, deed: line}
            log.error(_BEGINS[deed], extra={"error": line})

    def succeeded(self, deed: Deed) -> None:
        """A deed was done."""
        if deed in self._lines:
            self._lines = {known: line for known, line in self._lines.items() if known is not deed}
            log.info(_ENDS[deed])
