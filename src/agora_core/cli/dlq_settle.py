"""What discard, park, unpark and purge share: they do one thing to the letters that filters name."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import click

from agora_core.cli.dlq_finding import Place
from agora_core.cli.dlq_options import selection_of, where_of
from agora_core.cli.dlq_places import in_places, refuse_unknown
from agora_core.cli.dlq_selection import Selection, count, queries
from agora_core.cli.json_output import say_json
from agora_core.cli.printing import complain, counted, say
from agora_core.spec.errors import ConfigError
from agora_core.spec.letters import DlqStore, LetterQuery, LetterState


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What is done to letters in *states*, as a question and as what was then *done*."""

    question: str
    done: str
    states: Sequence[LetterState]
    act: Callable[[DlqStore, LetterQuery], Awaitable[int]]
    resolved_before: datetime | None = None
    """Only letters that were resolved before then are meant."""


def settle(one: Settlement, options: Mapping[str, Any], *, everything: bool, asks: bool, as_json: bool) -> None:
    """Do *one* to the letters that *options* name, or to *everything*; where it *asks*, only after a yes."""
    selection = selection_of(options, one.states)
    if one.resolved_before is not None:
        selection = replace(selection, query=replace(selection.query, resolved_before=one.resolved_before))
    if everything != selection.is_everything:
        raise ConfigError(
            "--all and a filter were both given; leave one of them out"
            if everything
            else "say which letters: with a filter such as --id, --pipeline or --stage, or --all"
        )
    where = where_of(options)
    matching = in_places(where, lambda places: _count(places, selection))
    if matching and asks:
        _ask(f"{one.question} {counted(matching, 'dead letter')}?")
    done = in_places(where, lambda places: _act(places, one, selection)) if matching else 0
    if as_json:
        say_json({one.done: done})
    else:
        say(f"{one.done} {counted(done, 'dead letter')}")


def _ask(question: str) -> None:
    """Go on after a yes only."""
    try:
        is_meant = click.confirm(question, err=True)
    except click.Abort as end:
        if not isinstance(end.__context__, EOFError):
            raise
        complain("")  # behind the question
        raise ConfigError("nobody is there to answer, and nothing was changed; --yes does not ask") from end
    if not is_meant:
        raise ConfigError("the answer was no, and nothing was changed")


async def _count(places: list[Place], selection: Selection) -> int:
    await refuse_unknown(places, selection.query)
    return sum([await count(place.store, selection) for place in places])


async def _act(places: list[Place], one: Settlement, selection: Selection) -> int:
    return sum(
        [await one.act(place.store, query) for place in places for query in await queries(place.store, selection)]
    )
