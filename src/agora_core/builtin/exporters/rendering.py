"""Keeps answers about ten thousand pipelines cheap: what did not change is not rendered again."""

import time
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from agora_core.spec.health import HealthReply, PipelineStatus

Fragment = TypeVar("Fragment")

MANY = 100
"""From this many pipelines on an answer is kept; below, rendering costs less than a stale answer would confuse."""
KEPT_SECONDS = 1.0


class Fragments(Generic[Fragment]):
    """What *render* makes of each pipeline, made again only when its status is another object.

    A status is frozen and replaced at every change, so the same object means the same text.
    """

    def __init__(self, render: Callable[[PipelineStatus], Fragment]) -> None:
        self._render = render
        self._kept: dict[str, tuple[PipelineStatus, Fragment]] = {}

    def of(self, pipelines: Iterable[PipelineStatus]) -> list[Fragment]:
        """Return the fragment of each of *pipelines* in their order, and forget those of others."""
        kept = {pipeline.id: self._current(pipeline) for pipeline in pipelines}
        self._kept = kept
        return [fragment for _, fragment in kept.values()]

    def _current(self, pipeline: PipelineStatus) -> tuple[PipelineStatus, Fragment]:
        kept = self._kept.get(pipeline.id)
        if kept is not None and kept[0] is pipeline:
            return kept
        return pipeline, self._render(pipeline)


class KeptReplies:
    """Replies that are given again for a second, by *key*, where rendering them is dear."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._kept: dict[str, tuple[float, HealthReply]] = {}

    def get(self, key: str, pipelines: int, render: Callable[[], HealthReply]) -> HealthReply:
        """Return the reply that *render* makes, or made within the last second about many *pipelines*."""
        if pipelines < MANY:
            return render()
        now = self._monotonic()
        kept = self._kept.get(key)
        if kept is None or now - kept[0] >= KEPT_SECONDS:
            kept = (now, render())
            self._kept[key] = kept
        return kept[1]
