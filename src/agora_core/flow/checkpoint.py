"""The position of a pipeline's source in its checkpoint store, from one run to the next."""

from inspect import isawaitable

from agora_core.flow.bound import BoundPipeline
from agora_core.flow.context import RunContext
from agora_core.flow.timeouts import within
from agora_core.spec.failpoints import reached
from agora_core.spec.records import Position
from agora_core.spec.state import StateStore


class Checkpoint:
    """What one run finds there, and leaves; nothing where there is no store, or the source has no position."""

    def __init__(self, pipeline: BoundPipeline, context: RunContext) -> None:
        self._pipeline = pipeline
        self._context = context
        self._seconds = pipeline.config.write_timeout_seconds

    async def resume(self) -> None:
        """Have the source continue where the last run left off.

        A retry saves that position once more, before anything is read. Were it the store that the run before failed
        at, each retry would write the same records to the sinks again.
        """
        store = self._pipeline.config.checkpoint
        if store is None or not self._pipeline.resumable:
            return
        position = await store.checkpoint(self._context.pipeline_id)
        if self._context.attempt > 1:
            await self._try_out(store, position)
        if position is not None:
            given = self._pipeline.source.resume(position)  # type: ignore[attr-defined]  # as `resumable` has found
            if isawaitable(given):
                await given

    async def save(self, position: Position) -> None:
        """Save *position*; durable when it returns."""
        store = self._pipeline.config.checkpoint
        if store is None:
            return
        reached("before-checkpoint")
        await self._save(store, position)
        reached("after-checkpoint")

    async def _try_out(self, store: StateStore, position: Position | None) -> None:
        try:
            await self._save(store, position)
        except Exception as exc:
            exc.add_note("while the checkpoint was saved unchanged, before this retry reads anything")
            raise

    async def _save(self, store: StateStore, position: Position | None) -> None:
        saving = store.save_checkpoint(self._context.pipeline_id, position)
        late = f"the checkpoint was not saved within {self._seconds:g} s (write_timeout_seconds)"
        await within(self._seconds, saving, late=late)
