"""I2: a dead letter is durable before the sinks are flushed, and both before the checkpoint passes its record."""

import asyncio
from dataclasses import dataclass, field, replace

from hypothesis import event, given, settings
from hypothesis import strategies as st

from agora_core.builtin.memory_dlq import MemoryDlq
from agora_core.builtin.memory_state import MemoryState
from agora_core.flow.delivery_config import DeliveryConfig
from agora_core.testing.virtual_loop import run_virtual

from .numbered import Built, shapes

_delays = st.lists(st.sampled_from([0, 0.001, 0.05, 1, 3]), min_size=1, max_size=5)
_failures = st.none() | st.integers(1, 6)


@dataclass
class Told:
    """What happened, in order: at which step each record was safe, and when flushes began."""

    now: int = 0
    safe: dict[int, int] = field(default_factory=dict)
    """When the letter of each number was durable."""
    flushed: dict[str, dict[int, int]] = field(default_factory=dict)
    """When each sink had acknowledged each number."""
    flush_began: int = 0
    """When the last flush of any sink began that ended well."""
    checkpoints: list[tuple[int, int, int]] = field(default_factory=list)
    """The position, when its saving began, and when the flush before it had begun."""

    def tick(self):
        self.now += 1
        return self.now


@dataclass
class Trouble:
    """How slow a part is from call to call, and at which call it fails."""

    delays: list[float]
    fails_at: int | None
    calls: int = 0

    async def pass_by(self):
        self.calls += 1
        await asyncio.sleep(self.delays[self.calls % len(self.delays)])
        if self.calls == self.fails_at:
            raise ConnectionError("it is down")


_troubles = st.builds(Trouble, _delays, _failures)


class Store(MemoryDlq):
    def __init__(self, told, trouble):
        super().__init__()
        self._told, self._trouble = told, trouble

    async def put(self, letters):
        await self._trouble.pass_by()
        await super().put(letters)
        for letter in letters:
            self._told.safe.setdefault(letter.record, self._told.tick())


class State(MemoryState):
    def __init__(self, told, trouble):
        super().__init__()
        self._told, self._trouble = told, trouble

    async def save_checkpoint(self, pipeline_id, position):
        self._told.checkpoints.append((position, self._told.tick(), self._told.flush_began))
        await self._trouble.pass_by()
        await super().save_checkpoint(pipeline_id, position)


class Sink:
    """Waits and fails on its own, and knows when what it was given is acknowledged."""

    def __init__(self, number, fates, told, trouble):
        self.name = f"sink{number}"
        self._number, self._fates, self._told, self._trouble = number, fates, told, trouble
        self._pending = []
        self.acknowledged = told.flushed.setdefault(self.name, {})

    async def write_batch(self, numbers):
        await self._trouble.pass_by()
        if any(self._number in self._fates[number].sinks for number in numbers):
            raise ValueError("one of them is refused")
        self._pending += numbers

    atomic = True

    async def flush(self):
        began, pending = self._told.tick(), list(self._pending)
        await self._trouble.pass_by()
        self._told.flush_began = began
        self.acknowledged |= {number: self._told.tick() for number in pending if number not in self.acknowledged}
        del self._pending[: len(pending)]


@given(
    shape=shapes(most=60).map(lambda shape: replace(shape, sinks=("lists",) * len(shape.sinks))),
    parts=st.tuples(_troubles, _troubles, _troubles, _troubles, _troubles),
    interval=st.sampled_from([0, 0.01, 1]),
    cancelled_after=st.none() | st.integers(0, 80),
)
@settings(deadline=None, max_examples=300)
def test_no_checkpoint_is_ahead_of_what_is_safe(shape, parts, interval, cancelled_after):
    """Letter durable, then flush, then checkpoint: whichever part is slow, fails, or is cut off in the middle."""
    told = Told()
    store, state = Store(told, parts[0]), State(told, parts[1])

    async def main():
        sinks = [Sink(number, shape.fates, told, parts[2 + number]) for number in range(len(shape.sinks))]
        config = DeliveryConfig(
            dlq=store, checkpoint=state, batch_size=shape.batch_size, flush_interval_seconds=interval
        )
        run = asyncio.ensure_future(Built(shape).pipeline(config, sinks=sinks).run())
        if cancelled_after is not None:
            for _ in range(cancelled_after):
                await asyncio.sleep(0)
            run.cancel()
        await asyncio.gather(run, return_exceptions=True)

    run_virtual(main())

    event(f"{min(len(told.checkpoints), 3)} checkpoints or more")
    for position, saved_at, flush_began in told.checkpoints:
        for number in range(position):
            fate = shape.fates[number]
            if fate.what in ("is bad", "dies", "is refused"):
                assert told.safe.get(number, saved_at) < flush_began, f"{number} dies, and {position} was saved"
            if fate.what in ("passes", "is refused"):
                for place, acknowledged in enumerate(told.flushed.values()):
                    if place not in fate.sinks:
                        assert acknowledged.get(number, saved_at) < saved_at, f"{number} was not flushed"
    positions = [position for position, _, _ in told.checkpoints]
    assert positions == sorted(positions)
