"""Looks after dead-letter stores, beside the runs: asks what they hold by now, and has what is old deleted."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from datetime import datetime, timedelta
from inspect import isawaitable
from logging import getLogger

from agora_core.runner.failures import error_line
from agora_core.runner.retention import Retention
from agora_core.spec.letters import DlqStore, LetterGroup, LetterState, LetterTally
from agora_core.spec.time import Clock

log = getLogger("agora.runner")

_UNRESOLVED = (LetterState.DEAD, LetterState.LEASED, LetterState.PARKED)
_ANSWER_SECONDS = 5.0
"""How long a store may take to answer."""
_PAUSE_SECONDS = 1.0
"""After each answer, so that a thousand runs a second do not ask a thousand times."""
_AGAIN_SECONDS = 60.0
"""How often is asked without a run while something waits for somebody, who may see to it from elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letters:
    """The dead letters of one pipeline: how many by state, and since when the oldest unresolved one is there."""

    counts: Mapping[str, int]
    oldest: datetime | None
    tallies: tuple[LetterTally, ...] | None = None
    """What the unresolved ones have been through; None where the store does not tell."""
    troubles: tuple[str, ...] = ()
    """What the store suffers from while it goes on, a sentence each."""


def letters_of(
    own: Sequence[LetterGroup], tallies: tuple[LetterTally, ...] | None = None, troubles: tuple[str, ...] = ()
) -> Letters:
    """Return what the groups and the *tallies* of one pipeline come to; states without a letter count 0."""
    return Letters(
        tallies=tallies,
        troubles=troubles,
        counts={state: sum(group.count for group in own if group.state is state) for state in LetterState},
        oldest=min((group.oldest for group in own if group.state in _UNRESOLVED), default=None),
    )


def unresolved(counts: Mapping[str, int]) -> int:
    """Return how many of the dead letters wait for somebody."""
    return sum(counts.get(state, 0) for state in _UNRESOLVED)


class LetterWatch:
    """Asks, one store after the other, and tells *hear* of each pipeline; a store that cannot answer is logged.

    Pipelines whose letters wait for somebody, or whose store has troubles, are asked for again, in turn. Resolved
    letters that were kept long enough are deleted, which *purged* is told of with the pipeline and their number.
    """

    def __init__(self, hear: Callable[[str, Letters], None], purged: Callable[[str, int], None], clock: Clock) -> None:
        self._hear = hear
        self._hear_purged = purged
        self._retention = Retention(clock, self._purged)
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

    def keep(self, pipeline_id: str, store: DlqStore, span: timedelta | None) -> None:
        """Keep resolved letters of the pipeline in *store* for the *span*, None for ever."""
        self._retention.know(pipeline_id, store, span)

    async def close(self, seconds: float) -> None:
        """Let what was asked be answered within *seconds*, and ask no more."""
        self._closing.set()
        self._retention.close()
        if self._again is not None:
            self._again.cancel()
        tasks = {task for task in (self._asking, *self._retention.tasks) if task is not None}
        if not tasks:
            return
        await asyncio.wait(tasks, timeout=seconds)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=seconds)

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
                    tallies = await _tallies(store, groups)
                    troubles = await _troubles(store)
                finally:
                    await store.close()
            by_pipeline: dict[str, list[LetterGroup]] = defaultdict(list)
            for group in groups:
                by_pipeline[group.pipeline_id].append(group)
            for pipeline_id in pipeline_ids:
                own = None if tallies is None else tuple(one for one in tallies if one.pipeline_id == pipeline_id)
                self._tell(pipeline_id, store, letters_of(by_pipeline[pipeline_id], own, troubles))
        except (Exception, SystemExit) as error:  # noqa: BLE001  # a border: stores are plugins, and this is only for show
            extra = {"store": repr(store), "pipeline_ids": sorted(pipeline_ids), "error": error_line(error)}
            log.warning("dead-letter store cannot tell what it holds", extra=extra)

    def _purged(self, pipeline_id: str, store: DlqStore, count: int) -> None:
        self._hear_purged(pipeline_id, count)
        self.ask(pipeline_id, store)

    def _tell(self, pipeline_id: str, store: DlqStore, letters: Letters) -> None:
        self._hear(pipeline_id, letters)
        self._unresolved.pop(pipeline_id, None)
        if (letters.troubles or unresolved(letters.counts)) and not self._closing.is_set():
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


async def _tallies(store: DlqStore, groups: Sequence[LetterGroup]) -> Sequence[LetterTally] | None:
    """Return what the store tells of its unresolved letters, or None where it tells nothing of the kind."""
    ask = getattr(store, "tallies", None)
    if not callable(ask):
        return None
    # Where nothing is unresolved there is nothing to look up.
    return await ask() if any(group.state in _UNRESOLVED for group in groups) else ()


async def _troubles(store: DlqStore) -> tuple[str, ...]:
    """Return what the store says of its troubles, if it is one that does."""
    ask = getattr(store, "troubles", None)
    if not callable(ask):
        return ()
    told = ask()
    return tuple(map(str, await told if isawaitable(told) else told))
