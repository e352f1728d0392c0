"""Keeps the dead letters of a run, tells of them, and ends a run of which too many records die."""

import logging
from collections.abc import Sequence

from agora_core.flow.casualties import Casualties
from agora_core.flow.context import RunContext
from agora_core.flow.delivery_config import DeliveryConfig
from agora_core.flow.failures import failure_of
from agora_core.flow.ledger import Ledger
from agora_core.flow.timeouts import within
from agora_core.spec.errors import DeadLetterError, TooManyDeadError
from agora_core.spec.letters import DeadLetter

log = logging.getLogger("agora.flow")

JUDGED_FROM = 100
"""So many records must have ended before the ratio of the dead among them means anything."""


class Keeper:
    """Stands between a run and its dead-letter store."""

    def __init__(self, config: DeliveryConfig, context: RunContext, ledger: Ledger) -> None:
        self._config = config
        self._context = context
        self._ledger = ledger
        self._late = f"it took longer than {config.write_timeout_seconds:g} s (write_timeout_seconds)"

    def allowance(self) -> int | None:
        """Return how many more records may die in this run, None for any number."""
        if self._config.dlq is None:
            return 0
        most = self._config.max_dead_per_run
        return None if most is None else max(0, most - self._ledger.dead)

    async def keep(self, letters: Sequence[DeadLetter]) -> None:
        """Have the store keep *letters*, then tell of them; raise `DeadLetterError` when it cannot."""
        if not letters or self._config.dlq is None:
            return
        try:
            await within(self._config.write_timeout_seconds, self._config.dlq.put(letters), late=self._late)
        except Exception as exc:
            count = f"{len(letters)} dead letters" if len(letters) > 1 else "a dead letter"
            raise DeadLetterError(f"the dead-letter store could not keep {count}: {failure_of(exc)}") from exc
        self._log(letters)
        for letter in letters:
            try:
                self._context.announce(letter)
            except Exception:  # the border of a plugin call: the letter is kept, whoever listens
                log.exception("announcing a dead letter failed", extra={"pipeline_id": self._context.pipeline_id})

    def judge(self, dead: Casualties) -> None:
        """Raise what ends the run after a batch with these casualties, if anything does."""
        if dead.over is not None:
            raise self._too_many(dead) from dead.over
        ratio, ended, died = self._config.max_dead_ratio, self._ledger.ended, self._ledger.dead
        if ratio is not None and ended >= JUDGED_FROM and died > ratio * ended:
            raise TooManyDeadError(
                f"{died} of {ended} records died, more than max_dead_ratio={ratio:g} allows; they are kept as dead "
                "letters, and the checkpoint stays before them"
            )

    def _too_many(self, dead: Casualties) -> DeadLetterError | TooManyDeadError:
        assert dead.over is not None
        what = f"a record failed at {dead.over_stage}: {failure_of(dead.over)}"
        if self._config.dlq is None:
            return DeadLetterError(
                f"{what}; there is no dead-letter store to keep it, so the run stopped; to go on without such "
                "records, configure one: DeliveryConfig(dlq=SqliteDlq('dead.db')), or [dlq] in the TOML file"
            )
        most = self._config.max_dead_per_run
        return TooManyDeadError(
            f"more than max_dead_per_run={most} records died, and the run stopped; the last: {what}"
        )

    def _log(self, letters: Sequence[DeadLetter]) -> None:
        first = letters[0]
        log.warning(
            "records became dead letters",
            extra={
                "pipeline_id": first.pipeline_id,
                "run_id": first.run_id,
                "count": len(letters),
                "stage": first.stage,
                "error": f"{first.error.type}: {first.error.message[:200]}",
            },
        )
