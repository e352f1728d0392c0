"""What discard, park, unpark and purge share: they do one thing to the letters that filters name."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

from agora_core.cli.dlq_finding import Place
from agora_core.cli.dlq_options import query_of, where_of
from agora_core.cli.dlq_places import in_places, refuse_unknown_stage
from agora_core.cli.json_output import say_json
from agora_core.cli.printing import counted, say
from agora_core.spec.errors import ConfigError
from agora_core.spec.letters import DlqStore, LetterQuery, LetterState


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What is done to letters in *states*, as a question and as what was then *done*."""

    question: str
    done: str
    states: Sequence[LetterState]
    act: Callable[[DlqStore, LetterQuery], Awaitable[int]]


def settle(one: Settlement, options: Mapping[str, Any], *, everything: bool, asks: bool, as_json: bool) -> None:
    """Do *one* to the letters that *options* name, or to *everything*; where it *asks*, only after a yes."""
    query = query_of(options, one.states)
    if everything == (query != LetterQuery(states=one.states)):
        raise ConfigError(
            "--all and a filter were both given; leave one of them out"
            if everything
            else "say which letters: with a filter such as --id, --pipeline or --stage, or --all"
        )
    where = where_of(options)
    matching = in_places(where, lambda places: _count(places, query))
    if matching and asks:
        click.confirm(f"{one.question} {counted(matching, 'dead letter')}?", abort=True, err=True)
    done = in_places(where, lambda places: _act(places, one, query)) if matching else 0
    if as_json:
        say_json({one.done: done})
    else:
        say(f"{one.done} {counted(done, 'dead letter')}")


async def _count(places: list[Place], query: LetterQuery) -> int:
    await refuse_unknown_stage(places, query)
    return sum([await place.store.count(query) for place in places])


async def _act(places: list[Place], one: Settlement, query: LetterQuery) -> int:
    return sum([await one.act(place.store, query) for place in places])
