"""Parks dead letters that cannot be trusted or were tried too often, so that no replay meets them again."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from agora_core.spec.letters import DeadLetter, DlqStore, LetterQuery, LetterState


async def park_tired(store: DlqStore, query: LetterQuery, letters: Iterable[DeadLetter]) -> int:
    """Park *letters* of *query* as they are, without another attempt; return how many."""
    return await _park(store, query, ((letter, _tried(letter.attempts)) for letter in letters))


async def park_distrusted(store: DlqStore, query: LetterQuery, letters: Iterable[tuple[DeadLetter, str]]) -> int:
    """Park *letters* of *query*, each of which cannot be trusted for a reason; return how many."""
    return await _park(store, query, ((letter, f"cannot be trusted: {reason}") for letter, reason in letters))


async def _park(store: DlqStore, query: LetterQuery, letters: Iterable[tuple[DeadLetter, str]]) -> int:
    """Park letters, each with what is said of it behind its note; what another replay holds by now stays with it."""
    by_note: dict[str, list[int]] = defaultdict(list)
    for letter, said in letters:
        by_note[_noted(letter.note, said)].append(letter.id)
    parked = 0
    for note, ids in by_note.items():
        parked += await store.park(replace(query, ids=ids, states=(LetterState.DEAD,)), note=note)
    return parked


def _tried(times: int) -> str:
    return "tried once" if times == 1 else f"tried {times} times"


def _noted(before: str, note: str) -> str:
    if note in before:
        return before
    return f"{before}; {note}" if before else note
