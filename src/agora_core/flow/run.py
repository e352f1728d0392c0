"""One run of a pipeline: read, transform, write, keep, acknowledge; then close everything."""

import asyncio
from inspect import isawaitable
from logging import getLogger
from time import perf_counter
from uuid import uuid4

from agora_core.flow.batch_size import BatchSize
from agora_core.flow.bound import BoundPipeline
from agora_core.flow.caller import Caller
from agora_core.flow.casualties import Casualties
from agora_core.flow.chain import Chain
from agora_core.flow.closing import Closing, OpenParts
from agora_core.flow.context import RunContext
from agora_core.flow.delivery import Delivery
from agora_core.flow.keeper import Keeper
from agora_core.flow.ledger import Ledger
from agora_core.flow.letters import letters_of
from agora_core.flow.outlet import Outlet
from agora_core.flow.pump import Batch, Pump
from agora_core.flow.timeouts import within
from agora_core.flow.turns import Turns
from agora_core.spec.errors import ConfigError, DeadLetterError, LeaseLostError, TooManyDeadError
from agora_core.spec.letters import UNKNOWN, NoRecord
from agora_core.spec.records import Context, Position
from agora_core.spec.runs import RunSummary

log = getLogger("agora.flow")


def new_context(*, pipeline_id: str) -> RunContext:
    """Return the context of a run that nobody scheduled."""
    return RunContext(pipeline_id=pipeline_id, run_id=uuid4().hex)


def run_blocking(*, pipeline: BoundPipeline, max_records: int | None) -> RunSummary:
    """Run *pipeline* in an event loop of its own."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass  # what the run raises must not seem to come from here
    else:
        raise ConfigError("run_sync() cannot be called where an event loop runs already; use `await pipeline.run()`")
    return asyncio.run(pipeline.run(max_records))


class Run:
    """The machinery of one run. Durable, in this order: dead letters, the sinks' flush, the checkpoint."""

    def __init__(self, *, pipeline: BoundPipeline, context: RunContext, max_records: int | None) -> None:
        self._pipeline = pipeline
        self._config = config = pipeline.config
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        turns = Turns()
        told = Context(pipeline_id=context.pipeline_id, run_id=context.run_id, attempt=context.attempt)
        self._chain = Chain(pipeline.steps, told, turns, snapshot=config.snapshot)
        named = zip(pipeline.sinks, pipeline.sink_names, strict=True)
        self._delivery = Delivery([Outlet(sink, name, config, turns) for sink, name in named])
        self._commits_at_close = any(commits_at_close(sink) for sink in pipeline.sinks)
        self._ledger = Ledger()
        self._keeper = Keeper(config, context, self._ledger)
        self._size = BatchSize(config.batch_size)
        self._pump = Pump(pipeline.source, size=self._size, limit=max_records, positioned=pipeline.resumable)
        self._parts = OpenParts()
        self._position: Position | NoRecord = UNKNOWN
        """After the last batch that is through, where it is not saved yet."""
        self._settle_at: float | None = None
        """When what is through must be flushed and checkpointed; None while there is nothing of it."""
        self._seconds: float | None = None

    @property
    def summary(self) -> RunSummary:
        """The counts, live."""
        seconds = self._loop.time() - self._began if self._seconds is None else self._seconds
        return self._ledger.summary(seconds=seconds, stopped_early=self._pump.stopped)

    def stop(self) -> None:
        """End at the next batch boundary: what was read is finished, nothing more is read."""
        self._pump.stop()

    async def go(self) -> None:
        """Run to the end, and close every part that was opened, whatever happened."""
        caller = Caller()
        failure: BaseException | None = None
        try:
            await self._open()
            await self._flow()
        except BaseException as exc:  # raised again once the parts are closed
            if caller.is_gone:
                raise
            failure = exc
        failure = await self._close(failure, caller)
        self._seconds = self._loop.time() - self._began
        if failure is not None:
            try:
                raise failure
            finally:
                del failure  # or the traceback, which holds this frame, would hold itself

    async def _open(self) -> None:
        pipeline, config = self._pipeline, self._config
        for part in (
            pipeline.source,
            *(s.part for s in pipeline.steps),
            *pipeline.sinks,
            config.dlq,
            config.checkpoint,
        ):
            await self._parts.open(part)
        if config.checkpoint is None or not pipeline.resumable:
            return
        position = await config.checkpoint.checkpoint(self._context.pipeline_id)
        if position is not None:
            await _resume(pipeline.source, position)

    async def _flow(self) -> None:
        pump = self._pump
        pump.start()
        while True:
            if not await pump.ready(self._until_settled()):
                await self._settle()
                continue
            batch = pump.take()
            if batch is None:
                break
            await self._work(batch)
            if self._until_settled() == 0:
                await self._settle()
        await self._settle()
        if pump.error is not None:
            raise pump.error

    async def _work(self, batch: Batch) -> None:
        ledger, count = self._ledger, len(batch.records)
        ledger.read(count)
        dead = Casualties(self._keeper.allowance())
        began = perf_counter()
        passed = await self._chain.run(batch.records, dead)
        in_chain = perf_counter() - began
        delivered = await self._delivery.write(passed, dead)
        self._size.learn(count, in_chain + self._delivery.seconds_one_by_one)
        first = self._chain.first_stage
        letters = letters_of(dead, batch.records, passed, first_stage=first, context=self._context)
        await self._keeper.keep(letters)
        ledger.done(delivered=delivered, filtered=passed.filtered, dead=len(dead.by_place))
        if not self._delivery.flushes and not self._commits_at_close:
            ledger.acknowledge()
        self._keeper.judge(dead)
        ledger.batch_done()
        if not isinstance(batch.position, NoRecord):
            self._position = batch.position
        self._note_unsettled()

    def _note_unsettled(self) -> None:
        unsettled = self._ledger.unflushed > 0 or self._position is not UNKNOWN
        if unsettled and self._settle_at is None and not self._commits_at_close:
            self._settle_at = self._loop.time() + self._config.flush_interval_seconds

    def _until_settled(self) -> float | None:
        """Return how many seconds the flush may still wait; None when there is nothing to flush."""
        if self._settle_at is None:
            return None
        return max(0.0, self._settle_at - self._loop.time())

    async def _settle(self) -> None:
        """Flush the sinks, then save the position. The dead letters of every batch behind it are durable already."""
        self._settle_at = None
        await self._delivery.flush()
        if not self._commits_at_close:
            await self._acknowledge()

    async def _acknowledge(self) -> None:
        self._ledger.acknowledge()
        position, self._position = self._position, UNKNOWN
        if self._config.checkpoint is None or isinstance(position, NoRecord):
            return
        seconds = self._config.write_timeout_seconds
        saving = self._config.checkpoint.save_checkpoint(self._context.pipeline_id, position)
        await within(seconds, saving, late=f"the checkpoint was not saved within {seconds:g} s (write_timeout_seconds)")

    async def _save_what_is_through(self, closing: Closing) -> None:
        """Save the position after the last whole batch of a failed run, so that the next one does not do it twice."""
        failure, position = closing.failure, self._position
        if isinstance(position, NoRecord) or self._commits_at_close or isinstance(failure, LeaseLostError):
            return
        # A sink that failed, or a run that was cut, is not flushed any more: after a flush that failed, one that
        # succeeds says nothing.
        if isinstance(failure, DeadLetterError | TooManyDeadError):
            await closing.do(self._settle, "what was written before")
        elif not self._delivery.flushes:
            await closing.do(self._acknowledge, "the checkpoint")

    async def _close(self, failure: BaseException | None, caller: Caller) -> BaseException | None:
        """Close in the order middlewares, sinks, source, stores; return what the run failed with."""
        pipeline, config = self._pipeline, self._config
        closing = Closing(self._parts, caller, seconds=config.close_timeout_seconds, failure=failure)
        await closing.do(self._pump.close, "the reading of the source")
        self._ledger.read(self._pump.waiting)
        if closing.failure is not None:
            await self._save_what_is_through(closing)
        for step in pipeline.steps:
            await closing.close(step.part, step.name)
        unfinished = self._commits_at_close and self._pump.stopped
        if unfinished:
            told = {"pipeline_id": self._context.pipeline_id, "run_id": self._context.run_id}
            log.warning("run stopped before its source's end; its replacement is not published", extra=told)
        for sink, name in zip(pipeline.sinks, pipeline.sink_names, strict=True):
            whole = not (unfinished and commits_at_close(sink))
            await closing.close(sink, f"sink {name!r}", may_abort=True, unfinished=not whole)
        if self._commits_at_close and closing.failure is None and not unfinished:
            await closing.do(self._acknowledge, "the checkpoint")
        await closing.close(pipeline.source, f"source {type(pipeline.source).__name__}")
        await closing.close(config.dlq, "the dead-letter store")
        await closing.close(config.checkpoint, "the checkpoint store")
        ended_well = closing.failure is None and not unfinished
        await closing.do(lambda: self._ledger.assert_conserved(ended_well=ended_well), "the ledger")
        return closing.failure


def commits_at_close(sink: object) -> bool:
    """Return whether what *sink* was given counts only once it is closed, since `abort()` would undo it."""
    return bool(getattr(sink, "commits_at_close", callable(getattr(sink, "abort", None))))


async def _resume(source: object, position: Position) -> None:
    given = source.resume(position)  # type: ignore[attr-defined]  # optional in the protocol, and looked for before
    if isawaitable(given):
        await given
