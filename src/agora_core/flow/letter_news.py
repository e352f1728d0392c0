"""Tells of dead letters that were kept: whoever listens of each, the log of all that come within a second at once."""

import asyncio
import logging
from collections.abc import Sequence

from agora_core.flow.context import RunContext, ignore
from agora_core.spec.letters import DeadLetter

log = logging.getLogger("agora.flow")

QUIET_SECONDS = 1.0
"""From one warning to the next."""


class LetterNews:
    """The news of one run."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._untold: dict[str, tuple[DeadLetter, int]] = {}
        """Of those that no warning counts yet the first of each stage, and how many there are."""
        self._quiet: asyncio.TimerHandle | None = None

    def tell(self, letters: Sequence[DeadLetter]) -> None:
        """Tell of *letters*, which the store has."""
        for letter in letters:
            first, count = self._untold.get(letter.stage, (letter, 0))
            self._untold[letter.stage] = first, count + 1
        if self._quiet is None:
            self._warn()
        if self._context.announce is ignore:
            return
        for letter in letters:
            try:
                self._context.announce(letter)
            except (Exception, SystemExit):  # the border of a plugin call: the letter is kept, whoever listens
                log.exception("announcing a dead letter failed", extra={"pipeline_id": self._context.pipeline_id})

    def close(self) -> None:
        """Warn of what is left to tell."""
        if self._quiet is not None:
            self._quiet.cancel()
            self._warn()
            self._quiet = None

    def _warn(self) -> None:
        """Say how many there are since the last time, stage by stage, and be quiet for a while."""
        untold, self._untold, self._quiet = self._untold, {}, None
        if not untold:
            return
        self._quiet = asyncio.get_running_loop().call_later(QUIET_SECONDS, self._warn)
        for stage, (first, count) in untold.items():
            log.warning(
                "records became dead letters",
                extra={
                    "pipeline_id": first.pipeline_id,
                    "run_id": first.run_id,
                    "count": count,
                    "stage": stage,
                    "error": f"{first.error.type}: {first.error.message[:200]}",
                },
            )
