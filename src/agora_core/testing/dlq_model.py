"""A dead-letter store as a few lines of plain Python, and histories in which a real one must agree with it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agora_core.spec.letters import DlqStore, LetterQuery, LetterState
from agora_core.testing.dlq_samples import AGAIN, EVERYTHING, HOUR, NO_TIME, letters

_HISTORIES = 25
_UIDS = ("a", "b", "c", "d")
_NOBODY = 10**9


@dataclass(slots=True)
class _Known:
    """What the model knows of one letter."""

    uid: str
    state: LetterState = LetterState.DEAD
    token: str = ""
    over: bool = False
    attempts: int = 1
    failed_again: bool = False

    @property
    def shown(self) -> tuple[str, LetterState, int, bool]:
        """What a store must say of it."""
        state = LetterState.DEAD if self.state is LetterState.LEASED and self.over else self.state
        return self.uid, state, self.attempts, self.failed_again

    def held_by(self, token: str) -> bool:
        return self.state is LetterState.LEASED and self.token == token


@dataclass(slots=True)
class _History:
    """A real store and its model, side by side."""

    store: DlqStore
    known: dict[str, _Known] = field(default_factory=dict)
    ids: dict[str, int] = field(default_factory=dict)

    async def agrees(self) -> None:
        found = await self.store.find(EVERYTHING)
        self.ids = {one.uid: one.id for one in found}
        said = [(one.uid, one.state, one.attempts, one.last_error is not None) for one in found]
        assert said == [one.shown for one in self.known.values()]
        for state in LetterState:
            expected = sum(one.shown[1] is state for one in self.known.values())
            assert await self.store.count(LetterQuery(states=(state,))) == expected

    def number(self, uid: str) -> int:
        return self.ids.get(uid, _NOBODY)

    def held(self, uids: list[str], token: str) -> list[_Known]:
        return [self.known[uid] for uid in uids if uid in self.known and self.known[uid].held_by(token)]


@dataclass(frozen=True, slots=True)
class _Put:
    uids: list[str]

    async def happen(self, history: _History) -> None:
        await history.store.put(letters(*self.uids))
        for uid in self.uids:
            history.known.setdefault(uid, _Known(uid))


@dataclass(frozen=True, slots=True)
class _Lease:
    token: str
    limit: int
    over: bool

    async def happen(self, history: _History) -> None:
        lasting = NO_TIME if self.over else HOUR
        leased = await history.store.lease(LetterQuery(), token=self.token, lasting=lasting, limit=self.limit)
        dead = [one for one in history.known.values() if one.shown[1] is LetterState.DEAD][: self.limit]
        assert [one.uid for one in leased] == [one.uid for one in dead]
        for one in dead:
            one.state, one.token, one.over, one.attempts = LetterState.LEASED, self.token, self.over, one.attempts + 1


@dataclass(frozen=True, slots=True)
class _Resolve:
    token: str
    uids: list[str]
    state: LetterState

    async def happen(self, history: _History) -> None:
        numbers = [history.number(uid) for uid in self.uids]
        moved = await history.store.resolve(numbers, token=self.token, state=self.state)
        held = history.held(self.uids, self.token)
        assert moved == len(held)
        for one in held:
            one.state = self.state


@dataclass(frozen=True, slots=True)
class _GiveBack:
    token: str
    uids: list[str]
    tried: bool

    async def happen(self, history: _History) -> None:
        failure = AGAIN if self.tried else None
        failed = {history.number(uid): failure for uid in self.uids}
        given_back = await history.store.give_back(failed, token=self.token)
        held = history.held(self.uids, self.token)
        assert given_back == len(held)
        for one in held:
            one.state = LetterState.DEAD
            one.failed_again = one.failed_again or self.tried
            one.attempts -= not self.tried


@dataclass(frozen=True, slots=True)
class _Discard:
    states: tuple[LetterState, ...]

    async def happen(self, history: _History) -> None:
        discarded = await history.store.discard(LetterQuery(states=self.states))
        allowed = {LetterState.DEAD, LetterState.PARKED} & set(self.states or LetterState)
        chosen = [one for one in history.known.values() if one.shown[1] in allowed]
        assert discarded == len(chosen)
        for one in chosen:
            one.state = LetterState.DISCARDED


_Event: TypeAlias = _Put | _Lease | _Resolve | _GiveBack | _Discard

_tokens = st.sampled_from(["s", "t"])
_some = st.lists(st.sampled_from(_UIDS), min_size=1, max_size=4, unique=True)
_events: st.SearchStrategy[_Event] = st.one_of(
    st.builds(_Put, _some),
    st.builds(_Lease, _tokens, st.integers(0, 3), st.booleans()),
    st.builds(_Resolve, _tokens, _some, st.sampled_from([LetterState.REPLAYED, LetterState.PARKED])),
    st.builds(_GiveBack, _tokens, _some, st.booleans()),
    st.builds(_Discard, st.sampled_from([(), (LetterState.DEAD,), (LetterState.PARKED, LetterState.LEASED)])),
)


def check_against_a_model(make_store: Callable[[], DlqStore]) -> None:
    """Let a store made by *make_store*, empty each time, live through many histories, and compare after each event."""

    async def live(events: list[_Event]) -> None:
        store = make_store()
        await store.open()
        try:
            history = _History(store)
            for event in events:
                await event.happen(history)
                await history.agrees()
        finally:
            await store.close()

    @settings(max_examples=_HISTORIES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(_events, max_size=20))
    def all_histories(events: list[_Event]) -> None:
        asyncio.run(live(events))

    all_histories()
