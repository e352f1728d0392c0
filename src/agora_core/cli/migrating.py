"""Copies all letters of one store into another, and reads them back."""

from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from agora_core.builtin.letter_rows import encode_letter
from agora_core.cli.printing import counted
from agora_core.spec.errors import ConfigError
from agora_core.spec.letters import DeadLetter, DlqStore, LetterQuery, LetterState

_AT_ONCE = 500
_EVERYTHING = LetterQuery(states=())
_REMADE = ("id", "type")
"""What a letter is given anew in each store: its number, and, where it is only described, the name of its type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """What became of the letters: *copied* now, *present* before, of which some are *different* by now."""

    letters: int
    copied: int
    present: int
    different: int
    missing: int
    damaged: tuple[int, ...]
    """The numbers of letters that cannot be read any more in the first store."""


async def plan_of(store: DlqStore) -> dict[str, int]:
    """Return how many letters *store* has in each state."""
    async with _opened(store):
        counts = {state.value: await store.count(LetterQuery(states=(state,))) for state in LetterState}
    return {state: count for state, count in counts.items() if count}


async def migrate_letters(source: DlqStore, target: DlqStore) -> Migration:
    """Copy what *source* has now into *target*, compare what then is there, and return the counts."""
    async with _opened(source), _opened(target):
        leased = await source.count(LetterQuery(states=(LetterState.LEASED,)))
        if leased:
            raise ConfigError(
                f"a replay holds {counted(leased, 'dead letter')} of the first store, which would be replayed from the "
                "other one too; migrate when it is done (a lease that nobody ends is over in a quarter of an hour)"
            )
        damaged = tuple(damage.id for damage in await source.verify())
        present = {letter.uid async for portion in _portions(target, _EVERYTHING) for letter in portion}
        bound = replace(_EVERYTHING, up_to_id=await source.last_id())
        sent: dict[str, int] = {}
        async for portion in _portions(source, bound):
            await target.restore(portion)
            sent |= {letter.uid: hash(_content(letter)) for letter in portion}
        missing, different = await _compared(sent, target)
        present &= sent.keys()
        return Migration(
            letters=len(sent),
            copied=len(sent) - len(present) - missing,
            present=len(present),
            different=different,
            missing=missing,
            damaged=damaged,
        )


async def _compared(sent: dict[str, int], target: DlqStore) -> tuple[int, int]:
    """Return how many of the letters that were *sent* are not in *target*, and how many are there otherwise."""
    missing, different = set(sent), 0
    async for portion in _portions(target, _EVERYTHING):
        for letter in portion:
            if letter.uid in sent:
                missing.discard(letter.uid)
                different += hash(_content(letter)) != sent[letter.uid]
    return len(missing), different


async def _portions(store: DlqStore, query: LetterQuery) -> AsyncIterator[list[DeadLetter]]:
    last = 0
    while letters := await store.find(query, limit=_AT_ONCE, after_id=last):
        last = letters[-1].id
        yield letters


def _content(letter: DeadLetter) -> Hashable:
    """Return all of *letter* that must be the same in every store."""
    row = encode_letter(letter, keep_lease=True)
    return tuple(value for name, value in row.items() if name not in _REMADE)


@asynccontextmanager
async def _opened(store: DlqStore) -> AsyncIterator[None]:
    await store.open()
    try:
        yield
    finally:
        await store.close()
