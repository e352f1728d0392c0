"""Looks after the dead-letter stores that only this process can build, and tells the worker what they hold."""

from collections.abc import Callable

from agora_core.runner.isolated.messages import End, Ended, LettersKnown, Message, Purged
from agora_core.runner.isolated.work import Work
from agora_core.runner.letter_watch import Letters, LetterWatch, unresolved
from agora_core.spec.system_clock import SystemClock

_CLOSE_SECONDS = 1.0
"""How long stores may still take to tell what they hold when the process ends."""


class LettersOfRuns:
    """What `Books` and `LetterWatch` do in the worker, for the runs of this process."""

    def __init__(self, tell: Callable[[Message], None]) -> None:
        self._tell = tell
        self._known: dict[str, Letters] = {}
        self._watch = LetterWatch(self._hear, self._purged, SystemClock())

    def look_after(self, work: Work, end: End) -> None:
        """Have the store of a run that ended looked after, and asked where the answer may be a new one."""
        pipeline_id, store, keeps = work.order.pipeline_id, work.live.letters, work.live.keeps_resolved
        if store is None or not work.order.watches_letters:
            return
        self._watch.keep(pipeline_id, store, keeps)
        known = self._known.get(pipeline_id)
        is_as_it_was = isinstance(end, Ended) and end.summary.dead == 0
        if known is None or not is_as_it_was or unresolved(known.counts) > 0 or known.troubles:
            self._watch.ask(pipeline_id, store)

    async def close(self) -> None:
        """Let what was asked be answered."""
        await self._watch.close(_CLOSE_SECONDS)

    def _hear(self, pipeline_id: str, letters: Letters) -> None:
        self._known[pipeline_id] = letters
        self._tell(
            LettersKnown(
                pipeline_id=pipeline_id,
                counts={str(state): count for state, count in letters.counts.items()},
                oldest=letters.oldest,
                tallies=letters.tallies,
                troubles=letters.troubles,
            )
        )

    def _purged(self, pipeline_id: str, count: int) -> None:
        self._tell(Purged(pipeline_id=pipeline_id, count=count))
