"""The stores that a command around dead letters works on, opened and closed."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from inspect import isawaitable
from typing import TypeVar

from agora_core.builtin.sqlite_dlq import SqliteDlq
from agora_core.cli.dlq_finding import Place, finder
from agora_core.cli.dlq_options import Where
from agora_core.cli.endings import UNUSABLE, RefusedError
from agora_core.cli.event_loop import run
from agora_core.cli.printing import complain
from agora_core.spec.errors import ConfigError, StoreError, did_you_mean
from agora_core.spec.letters import LetterQuery

Result = TypeVar("Result")


def in_places(
    where: Where,
    action: Callable[[list[Place]], Awaitable[Result]],
    *,
    for_new: Callable[[Place], Place] | None = None,
) -> Result:
    """Run *action* on the opened stores that *where* names, and return what it returns.

    Files that are not there yet are left out or, with *for_new*, replaced by what it returns of them.
    """
    find = finder(where, must_exist=for_new is None)

    async def act() -> Result:
        places = []
        for place in await find():
            if not _is_new(place):
                places.append(place)
            elif for_new is not None:
                places.append(for_new(place))
        async with _opened(places):
            await _tell_troubles(places)
            return await action(places)

    try:
        return run(act())
    except StoreError as error:
        raise RefusedError(str(error), code=UNUSABLE) from error


async def _tell_troubles(places: Iterable[Place]) -> None:
    """Say what stores that can tell suffer from, beside whatever was asked of them."""
    for place in places:
        ask = getattr(place.store, "troubles", None)
        told = ask() if callable(ask) else ()
        for trouble in await told if isawaitable(told) else told:
            complain(f"agora: {trouble}")


def _is_new(place: Place) -> bool:
    """Whether no letter was ever put there: opening a file would make it."""
    return isinstance(place.store, SqliteDlq) and not place.store.path.exists()


@asynccontextmanager
async def _opened(places: Iterable[Place]) -> AsyncIterator[None]:
    opened: list[Place] = []
    try:
        for place in places:
            await place.store.open()
            opened.append(place)
        yield
    finally:
        for place in opened:
            await place.store.close()


async def refuse_unknown(places: Sequence[Place], query: LetterQuery) -> None:
    """Refuse a pipeline or a stage of which there is no letter and which nobody has: a typing error is no empty answer.

    Where there is no letter at all, neither is refused. A number that no letter has always is.
    """
    await _refuse_other_ids(places, query)
    groups = [group for place in places for group in await place.store.stats()]
    if query.pipeline_id is not None:
        pipelines = {group.pipeline_id for group in groups} | {name for place in places for name in place.pipelines}
        if pipelines:
            _refuse_other("pipeline", query.pipeline_id, pipelines)
    if query.stage is None or query.stage in (known := {group.stage for group in groups}):
        return
    for place in places:
        for name, build in place.pipelines.items():
            if name not in place.unbuilt:
                known.update((await build()).stages)
    _refuse_other("stage", query.stage, known)


async def _refuse_other_ids(places: Sequence[Place], query: LetterQuery) -> None:
    missing = set(query.ids)
    for place in places:
        if missing:
            asked = LetterQuery(ids=sorted(missing), states=())
            missing -= {letter.id for letter in await place.store.find(asked, limit=len(missing))}
    if missing:
        numbers = ", ".join(map(str, sorted(missing)))
        raise ConfigError(f"no dead letter has the id {numbers}; agora dlq list shows them")


def _refuse_other(what: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        hint = did_you_mean(name, known)
        raise ConfigError(f"no {what} {name!r}; known: {', '.join(sorted(known)) or 'none'}{hint}")
