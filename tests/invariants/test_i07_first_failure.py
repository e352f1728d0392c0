"""I7: what a record first died of never changes; of later failures the last ten are kept."""

import asyncio
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agora_core.builtin.memory_dlq import MemoryDlq
from agora_core.builtin.sqlite_dlq import SqliteDlq
from agora_core.spec.letters import KEPT_FAILURES, Failure, LetterQuery, LetterState
from agora_core.testing.clocks import ManualClock
from agora_core.testing.dlq_samples import EVERYTHING, HOUR, letter

_texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
_failures = st.builds(Failure, type=_texts, message=_texts, traceback=_texts)
_happenings = st.one_of(
    _failures,
    st.sampled_from(["not tried", "lease ends", "parked", "unparked", "put again", "reopened", "moved"]),
)


class Case:
    """One letter in one store."""

    def __init__(self, kind, folder):
        self.clock = ManualClock()
        self._kind, self._folder, self._moves = kind, Path(folder), 0
        self.store = self._made()

    def _made(self):
        path = self._folder / f"letters-{self._moves}.db"
        return MemoryDlq(clock=self.clock) if self._kind == "memory" else SqliteDlq(path, clock=self.clock)

    async def happen(self, what, first):
        """Do it; return the failure that the letter remembers from now on, if any."""
        store = self.store
        self.clock.advance(HOUR)
        if isinstance(what, Failure) or what in ("not tried", "lease ends"):
            leased = await store.lease(LetterQuery(), token="t", lasting=HOUR / 2, limit=1)
            if leased and what != "lease ends":
                failure = what if isinstance(what, Failure) else None
                await store.give_back(dict.fromkeys(leased, failure), token="t")
                return failure
        elif what == "parked":
            await store.park(LetterQuery(), note="look at it")
        elif what == "unparked":
            await store.unpark(LetterQuery(states=(LetterState.PARKED,)))
        elif what == "put again":
            await store.put([letter(first.uid, error_type="Another", record="another", at=self.clock.now())])
        elif what == "reopened" and self._kind == "sqlite":
            await store.close()
            await store.open()
        elif what == "moved":
            self._moves += 1
            self.store = self._made()
            await self.store.open()
            await self.store.restore(await store.find(EVERYTHING))
            await store.close()
        return None


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@given(happenings=st.lists(_happenings, max_size=30))
@settings(deadline=None, max_examples=40)
def test_the_first_failure_stays_and_ten_of_the_later_ones(kind, happenings):
    """Through any history: tried, killed, parked, put again, closed and opened, moved to another store."""
    first, later = letter("a", record={"n": 1}), []

    async def main(folder):
        case = Case(kind, folder)
        await case.store.open()
        await case.store.put([first])
        for what in happenings:
            failure = await case.happen(what, first)
            if failure is not None:
                later.append(failure)
            (one,) = await case.store.find(EVERYTHING)
            assert (one.error, one.first_failed_at) == (first.error, first.first_failed_at)
            assert (one.uid, one.run_id, one.stage, one.record) == (first.uid, first.run_id, first.stage, first.record)
            assert list(one.attempts_log) == later[-KEPT_FAILURES:]
            assert one.last_error == (later[-1] if later else None)
            assert one.last_failed_at >= one.first_failed_at
        await case.store.close()

    with TemporaryDirectory() as folder:
        asyncio.run(main(folder))


async def test_ten_are_kept_of_twenty():
    """Not nine and not eleven, and the oldest go first."""
    store = MemoryDlq()
    await store.put([letter("a")])

    for number in range(20):
        (leased,) = await store.lease(LetterQuery(), token="t", lasting=timedelta(hours=1), limit=1)
        await store.give_back({leased: Failure(type="E", message=str(number))}, token="t")

    (one,) = await store.find(EVERYTHING)
    assert [failure.message for failure in one.attempts_log] == [str(number) for number in range(10, 20)]
    assert one.error == letter("a").error
