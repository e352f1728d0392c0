"""Keeps the dead letters of a run, tells of them, and ends a run of which too many records die."""

import asyncio
from collections.abc import Sequence

from agora_core.flow.casualties import Casualties
from agora_core.flow.context import RunContext
from agora_core.flow.delivery_config import DeliveryConfig
from agora_core.flow.failures import failure_of
from agora_core.flow.ledger import Ledger
from agora_core.flow.letter_care import LetterCare
from agora_core.flow.letter_news import LetterNews
from agora_core.flow.timeouts import within
from agora_core.spec.errors import DeadLetterError, TooManyDeadError
from agora_core.spec.letters import UNKNOWN, DeadLetter
from agora_core.spec.records import BadRecord, Record

JUDGED_FROM = 100
"""So many records must have ended before the ratio of the dead among them means anything."""

PAUSE_SECONDS = 0.02
"""From one write to the store to the next, while the run has other work: what dies meanwhile shares a commit."""


class Keeper:
    """Stands between a run and its dead-letter store, which writes while the run goes on.

    One write at a time; the letters of the batches behind it wait for the next one. Their records are in flight until
    the store has them, and nothing that comes after them is acknowledged before: see `finish`.
    """

    def __init__(self, config: DeliveryConfig, context: RunContext, ledger: Ledger) -> None:
        self._config = config
        self._ledger = ledger
        self._care = LetterCare(
            config, pipeline_id=context.pipeline_id, codecs=context.codecs, governor=context.governor
        )
        self._news = LetterNews(context)
        self._loop = asyncio.get_running_loop()
        self._letters: list[DeadLetter] = []
        """Those that the store was not given yet."""
        self._records = 0
        """How many records they are of."""
        self._writing: asyncio.Task[None] | None = None
        self._pause: asyncio.TimerHandle | None = None
        self._failure: BaseException | None = None
        self._is_told = False
        """Whether the run knows of the failure."""

    @property
    def is_busy(self) -> bool:
        """Whether there is something to finish."""
        return bool(self._letters) or self._writing is not None or self._failure is not None

    def allowance(self) -> int | None:
        """Return how many more records may die in this run, None for any number."""
        if self._config.dlq is None:
            return 0
        most = self._config.max_dead_per_run
        return None if most is None else max(0, most - self._ledger.dead - self._ledger.unkept)

    async def keep(self, letters: Sequence[DeadLetter], *, records: int, room: int) -> None:
        """Have the store keep *letters* of so many *records* soon; wait while more than *room* letters wait for it.

        Raises `DeadLetterError` when it could not keep these, or others before them.
        """
        self._check()
        if not letters:
            return
        self._letters += letters
        self._records += records
        while len(self._letters) > room and self._writing is not None:
            await asyncio.wait({self._writing})
            self._check()
        if self._pause is None or len(self._letters) > room:
            self._write_on()

    async def finish(self) -> None:
        """Wait until the store has all letters; raise `DeadLetterError` when it could not keep some."""
        while self.is_busy:
            self._check()
            self._write_on()
            if self._writing is not None:
                await asyncio.wait({self._writing})  # it goes on when this is cancelled

    async def close(self) -> None:
        """Finish, unless that has failed before; what takes too long is cancelled."""
        try:
            if not self._is_told:
                await self.finish()
        finally:
            self._news.close()
            self._end_pause()
            if self._writing is not None:
                self._writing.cancel()

    def verdict(self, dead: Casualties, origins: Sequence[Record]) -> DeadLetterError | TooManyDeadError | None:
        """Return what ends the run after a batch of *origins* with these casualties, if anything does."""
        if dead.over is not None:
            return self._too_many(dead.over, dead, origins[dead.over_place])
        ratio = self._config.max_dead_ratio
        if ratio is None:
            return None
        ended, died = self._ledger.ended, self._ledger.dead + self._ledger.unkept
        if ended < JUDGED_FROM or died <= ratio * ended:
            return None
        return TooManyDeadError(
            f"{died} of {ended} records died, more than max_dead_ratio={ratio:g} allows; they are kept as dead "
            "letters, and the checkpoint stays before them"
        )

    def _write_on(self) -> None:
        """Give the store what waits for it, unless it is writing or has failed."""
        if self._writing is None and self._failure is None and self._letters:
            self._end_pause()
            writing = self._loop.create_task(self._write(), name="agora keeps dead letters")
            self._writing = None if writing.done() else writing  # an eager one may be over already

    async def _write(self) -> None:
        letters, self._letters = self._letters, []
        records, self._records = self._records, 0
        began = self._loop.time()
        try:
            cared = await self._care.of(letters)
            await self._put(cared.kept)
        except BaseException as exc:
            self._failure = _refusal(exc, len(letters))
            if not isinstance(exc, Exception | SystemExit):  # from here SystemExit would end the whole program
                raise
        else:
            self._ledger.kept(records, letters=len(letters))
            self._news.tell(cared.told)
            if self._letters:
                self._pause = self._loop.call_at(began + PAUSE_SECONDS, self._write_on)
        finally:
            self._writing = None

    async def _put(self, letters: Sequence[DeadLetter]) -> None:
        assert self._config.dlq is not None
        seconds = self._config.write_timeout_seconds
        late = f"it took longer than {seconds:g} s (write_timeout_seconds)"
        await within(seconds, self._config.dlq.put(letters), late=late)

    def _check(self) -> None:
        if self._failure is not None:
            self._is_told = True
            raise self._failure

    def _end_pause(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None

    def _too_many(self, error: BaseException, dead: Casualties, origin: Record) -> DeadLetterError | TooManyDeadError:
        known = UNKNOWN if isinstance(origin, BadRecord) else origin
        failure = self._care.failure(failure_of(error), dead.over_record, known)
        what = f"a record failed at {dead.over_stage}: {failure}"
        most = self._config.max_dead_per_run
        verdict: DeadLetterError | TooManyDeadError
        if self._config.dlq is None:
            verdict = DeadLetterError(
                f"{what}; there is no dead-letter store to keep it, so the run stopped; to go on without such "
                "records, configure one: DeliveryConfig(dlq=SqliteDlq('dead.db')), or [dlq] in the TOML file"
            )
        else:
            verdict = TooManyDeadError(
                f"more than max_dead_per_run={most} records died, and the run stopped; the last: {what}"
            )
        if self._care.is_secret:
            verdict.add_note(failure.traceback)  # the error itself may quote what nobody should see
        else:
            verdict.__cause__ = error
        return verdict


def _refusal(error: BaseException, count: int) -> BaseException:
    if not isinstance(error, Exception):
        return error
    letters = f"{count} dead letters" if count > 1 else "a dead letter"
    refusal = DeadLetterError(f"the dead-letter store could not keep {letters}: {failure_of(error)}")
    refusal.__cause__ = error
    return refusal
