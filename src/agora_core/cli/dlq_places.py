"""The stores that a command around dead letters works on, opened and closed."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from agora_core.builtin.sqlite_dlq import SqliteDlq
from agora_core.cli.dlq_finding import Place, finder
from agora_core.cli.dlq_options import Where
from agora_core.cli.endings import UNUSABLE, RefusedError
from agora_core.cli.event_loop import run
from agora_core.spec.errors import ConfigError, StoreError, did_you_mean
from agora_core.spec.letters import LetterQuery

Result = TypeVar("Result")


def in_places(where: Where, action: Callable[[list[Place]], Awaitable[Result]]) -> Result:
    """Run *action* on the opened stores that *where* names, and return what it returns."""
    find = finder(where)

    async def act() -> Result:
        places = [place for place in await find() if not _is_empty(place)]
        async with _opened(places):
            return await action(places)

    try:
        return run(act())
    except StoreError as error:
        raise RefusedError(str(error), code=UNUSABLE) from error


def _is_empty(place: Place) -> bool:
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


async def refuse_unknown_stage(places: Sequence[Place], query: LetterQuery) -> None:
    """Refuse a stage in which no letter died and which no pipeline has, so that a typing error is no empty answer."""
    if query.stage is None:
        return
    known = {group.stage for place in places for group in await place.store.stats()}
    if query.stage in known:
        return
    for place in places:
        for build in place.pipelines.values():
            known.update((await build()).stages)
    if query.stage not in known:
        hint = did_you_mean(query.stage, known)
        raise ConfigError(f"no stage {query.stage!r}; known: {', '.join(sorted(known)) or 'none'}{hint}")
