"""Writes dead letters as lines."""

from collections.abc import Callable
from dataclasses import dataclass

from agora_core.cli.dlq_finding import Place
from agora_core.cli.dlq_places import refuse_unknown
from agora_core.cli.dlq_selection import Selection, portions
from agora_core.cli.letter_lines import end_line, header_line, line_of
from agora_core.spec.letters import LetterState


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written."""

    letters: int
    leased: int
    damaged: tuple[int, ...]
    """The numbers of letters that cannot be read any more."""


async def export_letters(places: list[Place], selection: Selection, write: Callable[[bytes], None]) -> Exported:
    """Give the lines of what *selection* has in all *places* to *write*, many at a time."""
    await refuse_unknown(places, selection.query)
    letters, leased = 0, 0
    damaged: list[int] = []
    write(header_line() + b"\n")
    for place in places:
        async for portion in portions(place.store, selection):
            if portion:
                write(b"\n".join([*map(line_of, portion), b""]))
            letters += len(portion)
            leased += sum(letter.state is LetterState.LEASED for letter in portion)
            damaged += [letter.id for letter in portion if letter.damage]
    write(end_line(letters) + b"\n")
    return Exported(letters=letters, leased=leased, damaged=tuple(damaged))
