"""One run in the process of a pipeline: the factory found, the pipeline built and run, all of it told."""

import asyncio
from collections.abc import Callable

from agora_core.flow.bound import BoundPipeline
from agora_core.flow.context import RunContext, ignore
from agora_core.registry.codecs import record_codecs
from agora_core.registry.plugins import installed
from agora_core.runner import factories
from agora_core.runner.isolated.messages import Began, Counted, Died, Message, Order
from agora_core.runner.isolated.places import Finder
from agora_core.runner.isolated.stores import private_store
from agora_core.runner.live import Live, summary_of
from agora_core.spec.errors import ConfigError
from agora_core.spec.letters import DeadLetter
from agora_core.spec.runs import RunSummary
from agora_core.spec.system_clock import SystemClock

_COUNTS_SECONDS = 1.0
"""How often the counts are told."""


class Work:
    """The run that *order* asks for. *tell* tells the worker."""

    def __init__(self, order: Order, finder: Finder, tell: Callable[[Message], None], *, tells_letters: bool) -> None:
        self.order = order
        self.live = Live(reason="", offset=0.0)
        self._finder = finder
        self._tell = tell
        self._tells_letters = tells_letters
        self._has_begun = False
        self._stop_asked = False
        self._timer: asyncio.TimerHandle | None = None

    def stop(self, *, must: bool) -> None:
        """Ask the run to end at the next batch boundary; before it has begun, it does not begin."""
        self._stop_asked = True
        if self._has_begun:
            self.live.ask(must=must)

    async def go(self) -> RunSummary:
        """Build the pipeline and run it, as in the worker."""
        order, clock = self.order, SystemClock()
        began = clock.now()
        factory = self._finder.factory(order.place)
        pipeline = await factories.build(factory)
        problem = private_store(pipeline)
        if problem:
            raise ConfigError(problem)
        await asyncio.sleep(0)  # what was said while the user's code held the loop is heard now
        if self._stop_asked:
            return RunSummary(stopped_early=True)
        live = self.live
        live.take(pipeline)
        self._has_begun = True
        self._tell(Began(is_counted=live.is_counted, has_letters=live.has_letters, keeps_resolved=live.keeps_resolved))
        self._tell_counts()
        try:
            if isinstance(pipeline, BoundPipeline):
                return await pipeline.run(order.max_records, context=self._context(clock))
            given = await factories.run(pipeline, factory, order.max_records)
        finally:
            if self._timer is not None:
                self._timer.cancel()
        return summary_of(given, clock.now() - began)

    def _context(self, clock: SystemClock) -> RunContext:
        return RunContext(
            pipeline_id=self.order.pipeline_id,
            run_id=self.order.run_id,
            attempt=self.order.attempt,
            announce=self._announce if self._tells_letters else ignore,
            now=clock.now,
            codecs=record_codecs(installed()),
        )

    def _announce(self, letter: DeadLetter) -> None:
        self._tell(Died.of(letter))

    def _tell_counts(self) -> None:
        counts = self.live.counts
        if counts is not None:
            self._tell(Counted(counts=counts))
            self._timer = asyncio.get_running_loop().call_later(_COUNTS_SECONDS, self._tell_counts)
