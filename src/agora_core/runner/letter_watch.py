"""Asks dead-letter stores, after runs, what they hold by now; beside the runs, so that no schedule waits for it."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from datetime import datetime
from logging import getLogger

from agora_core.runner.failures import error_line
from agora_core.spec.letters import DlqStore, LetterGroup, LetterState

log = getLogger("agora.runner")

_UNRESOLVED = (LetterState.DEAD, LetterState.LEASED, LetterState.PARKED)
_ANSWER_SECONDS = 5.0
"""How long a store may take to answer."""
_PAUSE_SECONDS = 1.0
"""After each answer, so that a thousand runs a second do not ask a thousand times."""
_AGAIN_SECONDS = 60.0
"""How often letters that wait for somebody are asked for without a run: they may be replayed from elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letters:
    """The dead letters of one pipeline: how many by state, and since when the oldest unresolved one is there."""

    counts: Mapping[str, int]
    oldest: datetime | None


def letters_of(own: Sequence[LetterGroup]) -> Letters:
    """Return what the groups of one pipeline come to; states without a letter count 0."""
    return Letters(
        counts={state: sum(group.count for group in own if group.state is state) for state in LetterState},
        oldest=min((group.oldest for group in own if group.state in _UNRESOLVED), default=None),
    )


def unresolved(counts: Mapping[str, int]) -> int:
    """Return how many of the dead letters wait for somebody."""
    return sum(counts.get(state, 0) for state in _UNRESOLVED)


class LetterWatch:
    """Asks, one store after the other, and tells *hear* of each pipeline; a store that cannot answer is logged.

    Pipelines whose letters wait for somebody are asked for again and again, in turn.
    """

    def __init__(self, hear: Callable[[str, Letters], None]) -> None:
        self._hear = hear
        self._wanted: dict[int, tuple[DlqStore, set[str]]] = {}
        self._unresolved: dict[str, tuple[float, DlqStore]] = {}
        """When to ask for each pipeline again, by the loop's time; what was answered first stands first."""
        self._asking: asyncio.Task[None] | None = None
        self._again: asyncio.TimerHandle | None = None
        self._closing = asyncio.Event()
        self._context = copy_context()

    def ask(self, pipeline_id: str, store: DlqStore) -> None:
        """Ask *store* about the pipeline soon; asked several times before, it answers once."""
        if self._closing.is_set():
            return  # a run that was abandoned has ended after all
        self._unresolved.pop(pipeline_id, None)
        _, pipeline_ids = self._wanted.setdefault(id(store), (store, set()))
        pipeline_ids.add(pipeline_id)
        if self._asking is None or self._asking.done():
            loop, name = asyncio.get_running_loop(), "agora dead letters"
            self._asking = loop.create_task(self._ask_all(), name=name, context=self._context)

    async def close(self, seconds: float) -> None:
        """Let what was asked be answered within *seconds*, and ask no more."""
        self._closing.set()
        if self._again is not None:
            self._again.cancel()
        if self._asking is None:
            return
        await asyncio.wait({self._asking}, timeout=seconds)
        self._asking.cancel()
        await asyncio.wait({self._asking}, timeout=seconds)

    async def _ask_all(self) -> None:
        while self._wanted:
            wanted, self._wanted = self._wanted, {}
            for store, pipeline_ids in wanted.values():
                await self._ask(store, pipeline_ids)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), _PAUSE_SECONDS)

    async def _ask(self, store: DlqStore, pipeline_ids: Collection[str]) -> None:
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await store.open()  # the run has closed it; opens are counted
                try:
                    groups = await store.stats()
                finally:
                    await store.close()
            by_pipeline: dict[str, list[LetterGroup]] = defaultdict(list)
            for group in groups:
                by_pipeline[group.pipeline_id].append(group)
            for pipeline_id in pipeline_ids:
                self._tell(pipeline_id, store, letters_of(by_pipeline[pipeline_id]))
        except (Exception, SystemExit) as error:  # noqa: BLE001  # a border: stores are plugins, and this is only for show
            extra = {"store": repr(store), "pipeline_ids": sorted(pipeline_ids), "error": error_line(error)}
            log.warning("dead-letter store cannot tell what it holds", extra=extra)

    def _tell(self, pipeline_id: str, store: DlqStore, letters: Letters) -> None:
        self._hear(pipeline_id, letters)
        self._unresolved.pop(pipeline_id, None)
        if unresolved(letters.counts) and not self._closing.is_set():
            self._unresolved[pipeline_id] = (asyncio.get_running_loop().time() + _AGAIN_SECONDS, store)
            self._ask_again_later()

    def _ask_again_later(self) -> None:
        if self._again is None and self._unresolved:
            loop = asyncio.get_running_loop()
            due, _ = next(iter(self._unresolved.values()))
            self._again = loop.call_later(
                max(due - loop.time(), _PAUSE_SECONDS), self._ask_again, context=self._context
            )

    def _ask_again(self) -> None:
        """Ask about the pipeline whose answer is the oldest, if it is old, and about those that share its store."""
        self._again = None
        now = asyncio.get_running_loop().time()
        due, store = next(iter(self._unresolved.values()), (now, None))
        if store is not None and due <= now:
            for pipeline_id in [one for one, (_, its) in self._unresolved.items() if its is store]:
                self.ask(pipeline_id, store)
        self._ask_again_later()
