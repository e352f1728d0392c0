"""One run of a pipeline: read, transform, write, keep, acknowledge; then close everything."""

import asyncio
from logging import getLogger
from time import perf_counter
from uuid import uuid4

from agora_core.flow.batch_size import BatchSize
from agora_core.flow.bound import BoundPipeline
from agora_core.flow.caller import Caller
from agora_core.flow.casualties import Casualties
from agora_core.flow.chain import Chain
from agora_core.flow.checkpoint import Checkpoint
from agora_core.flow.closing import Closing, OpenParts
from agora_core.flow.context import RunContext
from agora_core.flow.crew import Crew
from agora_core.flow.delivery import Delivery
from agora_core.flow.feed import ask
from agora_core.flow.governor import Governor
from agora_core.flow.head import Batch, Head
from agora_core.flow.keeper import Keeper
from agora_core.flow.keys import RunKeys
from agora_core.flow.ledger import Ledger
from agora_core.flow.letters import letters_of
from agora_core.flow.outlet import Outlet, commits_at_close
from agora_core.flow.pulled import Pulled
from agora_core.flow.pump import Pump
from agora_core.flow.settlement import Settlement
from agora_core.flow.stages import split
from agora_core.flow.turns import Turns
from agora_core.spec.errors import ConfigError
from agora_core.spec.failpoints import reached
from agora_core.spec.letters import SINK_WRITE
from agora_core.spec.records import Context
from agora_core.spec.runs import RunSummary

log = getLogger("agora.flow")

_BATCHES_OF_LETTERS = 4
"""So many batches may die before the run waits for the store."""


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
    """The machinery of one run."""

    def __init__(self, *, pipeline: BoundPipeline, context: RunContext, max_records: int | None) -> None:
        self._pipeline = pipeline
        self._config = config = pipeline.config
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._governor = context.governor or Governor()
        told = Context(pipeline_id=context.pipeline_id, run_id=context.run_id, attempt=context.attempt)
        *self._crews, last = split(pipeline.steps)
        self._told = told
        self._ledger = Ledger()
        filtered = self._ledger.filtered_at
        self._chain = Chain(last, told, self._governor, is_first=not self._crews, filtered=filtered)
        self._first_stage = pipeline.steps[0].name if pipeline.steps else SINK_WRITE
        named = zip(pipeline.sinks, pipeline.sink_names, strict=True)
        self._delivery = Delivery([Outlet(sink, name, config, Turns(self._governor)) for sink, name in named])
        self._keys = RunKeys()
        self._keeper = Keeper(config, context, self._ledger)
        self._checkpoint = Checkpoint(pipeline, context)
        self._settlement = Settlement(
            self._delivery, self._keeper, self._ledger, self._checkpoint, interval=config.flush_interval_seconds
        )
        self._size = BatchSize(config.batch_size, config.batch_bytes)
        self._limit = max_records
        self._heads: list[tuple[str, Head]] = []
        """Whatever reads, by the names of what it reads; each gets its records from the one before it."""
        self._head: Head | None = None
        """The last of them."""
        self._was_stopped = False
        """Whether a stop came while there was no head, or before the head that there was came to its end."""
        self._is_closing = False
        """Whether the work is done, or has failed: a stop has come too late to change what it was."""
        self._parts = OpenParts()
        self._seconds: float | None = None

    @property
    def summary(self) -> RunSummary:
        """The counts, live."""
        seconds = self._loop.time() - self._began if self._seconds is None else self._seconds
        waiting = self._head.waiting if self._head is not None else 0
        return self._ledger.summary(seconds=seconds, stopped_early=self._stopped, waiting=waiting)

    @property
    def _stopped(self) -> bool:
        """Whether a stop came before the source's end."""
        return self._was_stopped if self._head is None else self._head.stopped

    def stop(self) -> None:
        """End at the next batch boundary: what was read is finished, nothing more is read."""
        if self._head is not None:
            self._head.stop()
        elif not self._is_closing:
            self._was_stopped = True

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
        await self._checkpoint.resume()

    async def _flow(self) -> None:
        if self._was_stopped:
            return
        head = self._head = self._open_head()
        head.start()
        settlement = self._settlement
        while True:
            if self._keeper.is_busy and not await head.ready(0):
                await self._keeper.finish()  # the source makes one wait anyway
                settlement.acknowledge_what_needs_no_flush()
            patience = settlement.patience
            if patience == 0 or not await head.ready(patience):
                await settlement.settle()
                continue
            batch = head.take()
            if batch is None:
                break
            await self._work(batch)
        await settlement.settle()
        if head.error is not None:
            raise head.error

    def _open_head(self) -> Head:
        """Ask the source for its records, and return what reads them."""
        source, limit = self._pipeline.source, self._limit
        asked = ask(source, size=self._size.most, limit=limit)
        kind = Pulled if asked.is_plain else Pump
        positioned, size, governor = self._pipeline.resumable, self._size, self._governor
        head: Head = kind(asked, source, size=size, limit=limit, positioned=positioned, governor=governor)
        self._heads.append(("the reading of the source", head))
        for *before, stage in self._crews:
            filtered = self._ledger.filtered_at
            chain = Chain(before, self._told, governor, is_first=len(self._heads) == 1, filtered=filtered)
            head = Crew(
                head,
                chain,
                stage,
                self._told,
                governor=governor,
                size=size,
                snapshot=self._config.snapshot,
                filtered=filtered,
            )
            self._heads.append((f"the work of {stage.name}", head))
        if self._was_stopped:  # by what the source did, or by a signal's handler, while it was asked
            head.stop()
        return head

    async def _work(self, batch: Batch) -> None:
        ledger, count = self._ledger, len(batch.records)
        self._size.weigh(batch.records[-1])  # before anything waits, while the next ones are read ahead
        self._settlement.batch_begins()
        key_at = self._keys.after(ledger.consumed)
        ledger.read(count)
        reached("after-read")
        if self._config.snapshot and batch.copies is None:
            batch.snapshot()
        dead = Casualties(self._keeper.allowance())
        began = perf_counter()
        reached("before-middlewares")
        passed = await self._chain.run(await batch.enter(dead), dead)
        reached("after-middlewares")
        in_chain = perf_counter() - began
        delivered = await self._delivery.write(passed, dead, key_at)
        self._size.learn(count, in_chain + self._delivery.seconds_one_by_one)
        ledger.done(delivered=delivered, filtered=passed.filtered, dead=len(dead.by_place))
        ledger.died_at.update(died[0].stage for died in dead.by_place.values())
        if dead.by_place or self._keeper.is_busy:
            letters = letters_of(dead, batch, first_stage=self._first_stage, context=self._context, key_at=key_at)
            await self._keeper.keep(letters, records=len(dead.by_place), room=_BATCHES_OF_LETTERS * self._size.most)
        verdict = self._keeper.verdict(dead, batch.copies or batch.records)
        if verdict is not None:
            await self._keeper.finish()
        self._settlement.acknowledge_what_needs_no_flush()
        if verdict is not None:
            raise verdict
        ledger.batch_done()
        self._settlement.batch_is_through(batch.position)

    async def _close(self, failure: BaseException | None, caller: Caller) -> BaseException | None:
        """Close in the order middlewares, sinks, source, stores; return what the run failed with."""
        pipeline, config = self._pipeline, self._config
        self._is_closing = True
        closing = Closing(self._parts, caller, seconds=config.close_timeout_seconds, failure=failure)
        if self._head is not None:
            for name, head in reversed(self._heads):
                await closing.do(head.close, name)
            self._ledger.read(self._head.waiting)
            self._was_stopped, self._head = self._head.stopped, None
        await closing.do(self._keeper.close, "the dead letters")
        if closing.failure is not None:
            await self._settlement.salvage(closing)
        for step in pipeline.steps:
            await closing.close(step.part, step.name)
        unfinished = self._delivery.commits_at_close and self._stopped
        if unfinished:
            told = {"pipeline_id": self._context.pipeline_id, "run_id": self._context.run_id}
            log.warning("run stopped before its source's end; its replacement is not published", extra=told)
        for sink, name in zip(pipeline.sinks, pipeline.sink_names, strict=True):
            whole = not (unfinished and commits_at_close(sink))
            await closing.close(sink, f"sink {name!r}", may_abort=True, unfinished=not whole)
        if self._delivery.commits_at_close and closing.failure is None and not unfinished:
            await closing.do(self._settlement.acknowledge, "the checkpoint")
        await closing.close(pipeline.source, f"source {type(pipeline.source).__name__}")
        await closing.close(config.dlq, "the dead-letter store")
        await closing.close(config.checkpoint, "the checkpoint store")
        ended_well = closing.failure is None and not unfinished
        await closing.do(lambda: self._ledger.assert_conserved(ended_well=ended_well), "the ledger")
        return closing.failure
