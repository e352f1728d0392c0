"""The dead letters that the filters of a command name: those that a store finds, and of these what `--where` leaves."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace

from agora_core.cli.letter_conditions import Condition, all_hold
from agora_core.spec.letters import DeadLetter, DlqStore, LetterQuery

_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """A query, which stores answer, and conditions, which are looked at letter by letter."""

    query: LetterQuery
    conditions: Sequence[Condition] = ()

    @property
    def is_everything(self) -> bool:
        """Whether no filter was given, but for states."""
        return not self.conditions and self.query == LetterQuery(states=self.query.states)

    def holds(self, letter: DeadLetter) -> bool:
        """Return whether a letter that the store found meets all conditions."""
        return all_hold(self.conditions, letter)

    def of(self, pipeline_id: str) -> "Selection":
        """Return the selection of one pipeline's letters."""
        return replace(self, query=replace(self.query, pipeline_id=pipeline_id))


async def portions(store: DlqStore, selection: Selection) -> AsyncIterator[list[DeadLetter]]:
    """Yield what *selection* has in *store* now, by id; of a portion nothing may be left."""
    query, last = await _bounded(store, selection.query), 0
    while letters := await store.find(query, limit=_AT_ONCE, after_id=last):
        last = letters[-1].id
        yield [letter for letter in letters if selection.holds(letter)]


async def newest_portions(store: DlqStore, selection: Selection) -> AsyncIterator[list[DeadLetter]]:
    """Yield the same by id from the greatest on down."""
    query = await _bounded(store, selection.query)
    upper, width = query.up_to_id or 0, _AT_ONCE
    while upper > 0:
        lower = max(0, upper - width)
        letters = await store.find(replace(query, up_to_id=upper), after_id=lower)
        # Where few of the numbers match, more of them are looked at together.
        width = width * 2 if len(letters) < _AT_ONCE // 2 else _AT_ONCE
        upper = lower
        yield [letter for letter in reversed(letters) if selection.holds(letter)]


async def count(store: DlqStore, selection: Selection) -> int:
    """Return how many letters *selection* has in *store*."""
    if not selection.conditions:
        return await store.count(selection.query)
    return sum([len(portion) async for portion in portions(store, selection)])


async def first(store: DlqStore, selection: Selection, most: int | None, *, newest: bool = False) -> list[DeadLetter]:
    """Return the first letters of *selection*, at most so many."""
    found: list[DeadLetter] = []
    if most == 0:
        return found
    if not newest and not selection.conditions:
        return await store.find(selection.query, limit=most)
    async for portion in (newest_portions if newest else portions)(store, selection):
        found += portion
        if most is not None and len(found) >= most:
            break
    return found[:most]


async def queries(store: DlqStore, selection: Selection) -> list[LetterQuery]:
    """Return queries that name just what *selection* has in *store* now, by their numbers if need be."""
    if not selection.conditions:
        return [selection.query]
    return [
        replace(selection.query, ids=[letter.id for letter in portion])
        async for portion in portions(store, selection)
        if portion  # without ids a query would name all
    ]


async def _bounded(store: DlqStore, query: LetterQuery) -> LetterQuery:
    last = await store.last_id()
    return replace(query, up_to_id=last if query.up_to_id is None else min(last, query.up_to_id))
