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
    """Asks, one store after the other, and tells *hear* of each pipeline; a store that cannot answer is logged."""

    def __init__(self, hear: Callable[[str, Letters], None]) -> None:
        self._hear = hear
        self._wanted: dict[int, tuple[DlqStore, set[str]]] = {}
        self._asking: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
        self._context = copy_context()

    def ask(self, pipeline_id: str, store: DlqStore) -> None:
        """Ask *store* about the pipeline soon; asked several times before, it answers once."""
        if self._closing.is_set():
            return  # a run that was abandoned has ended after all
        _, pipeline_ids = self._wanted.setdefault(id(store), (store, set()))
        pipeline_ids.add(pipeline_id)
        if self._asking is None or self._asking.done():
            loop, name = asyncio.get_running_loop(), "agora dead letters"
            self._asking = loop.create_task(self._ask_all(), name=name, context=self._context)

    async def close(self, seconds: float) -> None:
        """Let what was asked be answered within *seconds*, and ask no more."""
        self._closing.set()
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
                self._hear(pipeline_id, letters_of(by_pipeline[pipeline_id]))
        except (Exception, SystemExit) as error:  # noqa: BLE001  # a border: stores are plugins, and this is only for show
            extra = {"store": repr(store), "pipeline_ids": sorted(pipeline_ids), "error": error_line(error)}
            log.warning("dead-letter store cannot tell what it holds", extra=extra)
