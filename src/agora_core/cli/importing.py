"""Puts exported dead letters into stores, exactly: all that are good, and says of the others what is wrong."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import IO, Any

from agora_core.cli.dlq_finding import Place
from agora_core.cli.letter_lines import LONGEST_LINE, BadLineError, check_header, read_line
from agora_core.spec.errors import ConfigError
from agora_core.spec.letters import DeadLetter, LetterQuery, LetterState

_AT_ONCE = 500
_MOST_NAMED = 1000
_EVERYTHING = LetterQuery(states=())
_UNTOLD = "no line before this letter says that the file is an export of dead letters"
_EMPTY = " is empty; agora dlq export writes a line even where there is no letter"


@dataclass(frozen=True, slots=True, kw_only=True)
class BadLine:
    """A line that was not imported, and why."""

    line: int
    problem: str


class StrangerError(BadLineError):
    """A letter is good, and has no place here."""


def refuse_no_export(file: IO[bytes], name: str) -> None:
    """Raise `ConfigError` where *file* does not begin as an export of dead letters does."""
    for number, line in _lines(file):
        try:
            found = _read(line)
            if isinstance(found, DeadLetter):
                raise BadLineError(_UNTOLD)
            check_header(found)
        except BadLineError as error:
            raise ConfigError(f"{name}:{number}: {error}") from error
        return
    raise ConfigError(f"{name}{_EMPTY}")


class Import:
    """One import of the file *name*; *dry* ones keep nothing. What it counts can be looked at when it is done."""

    def __init__(self, places: list[Place], name: str, *, dry: bool) -> None:
        self._name = name
        self.letters = 0
        """The good ones."""
        self.imported = 0
        self.present = 0
        """Those that were there already, and stay as they are."""
        self.leased = 0
        """Those that a replay held when they were exported, and that are dead now."""
        self.bad_count = 0
        self.bad: list[BadLine] = []
        """The first of them."""
        self.is_whole = False
        """Whether the file has an end that knows of as many lines as there were."""
        self._places = places
        self._dry = dry
        self._known: dict[int, set[str]] = {}

    async def go(self, file: IO[bytes]) -> None:
        """Import what is in *file*, opened by its caller."""
        for one in self._places:
            self._known[id(one)] = await _uids(one)
        waiting: dict[int, list[DeadLetter]] = {id(place): [] for place in self._places}
        for place, letter in self._letters(file):
            self._count(letter, self._known[id(place)])
            rows = waiting[id(place)]
            rows.append(replace(letter, state=LetterState.DEAD, lease_until=None) if _is_leased(letter) else letter)
            if len(rows) >= _AT_ONCE:
                await self._keep(place, rows)
        for each in self._places:
            await self._keep(each, waiting[id(each)])

    async def _keep(self, place: Place, rows: list[DeadLetter]) -> None:
        if rows and not self._dry:
            await place.store.restore(rows)
        rows.clear()

    def _count(self, letter: DeadLetter, known: set[str]) -> None:
        self.letters += 1
        if letter.uid in known:
            self.present += 1
            return
        known.add(letter.uid)
        self.imported += 1
        self.leased += _is_leased(letter)

    def _letters(self, file: IO[bytes]) -> Iterator[tuple[Place, DeadLetter]]:
        """Yield the good ones with their places, and take down what is wrong with others; refuse what is no export."""
        lines, is_begun = 0, False
        for number, line in _lines(file):
            self.is_whole = False
            try:
                found = _read(line)
                if isinstance(found, DeadLetter):
                    if not is_begun:
                        raise BadLineError(_UNTOLD)
                    lines += 1
                    yield self._place_of(found.pipeline_id), found
                elif is_begun and "end" in found:
                    self.is_whole = found.get("letters") == lines
                else:
                    check_header(found)
                    lines, is_begun = 0, True
            except BadLineError as error:
                if not is_begun:
                    raise ConfigError(f"{self._name}:{number}: {error}") from error
                lines += not isinstance(error, StrangerError)
                self._take_down(number, error)
        if not is_begun:
            raise ConfigError(f"{self._name}{_EMPTY}")

    def _take_down(self, number: int, error: BadLineError) -> None:
        self.bad_count += 1
        if len(self.bad) < _MOST_NAMED:
            self.bad.append(BadLine(line=number, problem=str(error)))

    def _place_of(self, pipeline_id: str) -> Place:
        owners = [place for place in self._places if pipeline_id in place.pipelines]
        if owners or len(self._places) == 1:
            return owners[0] if owners else self._places[0]
        raise StrangerError(f"no store here has letters of the pipeline {pipeline_id!r}; use --store")


def _lines(file: IO[bytes]) -> Iterator[tuple[int, bytes | None]]:
    """Yield each line but empty ones, with its number; None for one that is too long."""
    number = 0
    while line := file.readline(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE:
            while line and not line.endswith(b"\n"):
                line = file.readline(LONGEST_LINE)
            yield number, None
        elif line.strip():
            yield number, line


def _read(line: bytes | None) -> DeadLetter | Mapping[str, Any]:
    if line is None:
        raise BadLineError(f"it is longer than {LONGEST_LINE >> 20} MiB")
    return read_line(line)


def _is_leased(letter: DeadLetter) -> bool:
    return letter.state is LetterState.LEASED


async def _uids(place: Place) -> set[str]:
    uids: set[str] = set()
    last = 0
    while letters := await place.store.find(_EVERYTHING, limit=_AT_ONCE, after_id=last):
        last = letters[-1].id
        uids.update(letter.uid for letter in letters)
    return uids
