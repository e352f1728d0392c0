"""What the stores make of a disk after a power cut."""

import sqlite3
from collections.abc import Awaitable, Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

from agora import SqliteDlq, SqliteState
from agora_core.spec.errors import AgoraError
from agora_core.testing.clocks import ManualClock
from agora_core.testing.dlq_samples import EVERYTHING, NOON

from .cuts import Cut
from .promises import BrokenPromiseError, History, letter_of, shown_by_uid
from .tracing import Place

KEPT = 5
"""How many bad images are kept to be looked at."""


@dataclass(slots=True)
class Tally:
    """What was found in images."""

    images: int = 0
    broken: list[str] = field(default_factory=list)


Check: TypeAlias = Callable[[Path, History], Awaitable[None]]
"""Raises when the store at a path does not hold what was promised."""


async def check_letters(path: Path, history: History) -> None:
    """Open the dead-letter store *path*, find what was promised in it, and go on with it."""
    store = SqliteDlq(path, clock=ManualClock(NOON))
    await store.open()
    try:
        found = await store.find(EVERYTHING)
        history.judge(shown_by_uid(found))
        changed = [one.uid for one in found if _immutable(one) != _immutable(letter_of(one.uid))]
        if changed:
            raise BrokenPromiseError(f"not what was put: {changed}")
        await store.put([letter_of("z1-3000")])
    finally:
        await store.close()
    _check_file(path, "letters", len(found) + 1)


async def check_positions(path: Path, history: History) -> None:
    """Open the state store *path*, find what was promised in it, and go on with it."""
    store = SqliteState(path, clock=ManualClock(NOON))
    await store.open()
    try:
        names = {*history.model.known, *(step["pipeline_id"] for step in history.flying.values())}
        found = {name: await store.checkpoint(name) for name in names}
        history.judge({name: position for name, position in found.items() if position is not None})
        await store.save_checkpoint("afterwards", 1)
    finally:
        await store.close()
    _check_file(path, "checkpoints", 1 + sum(position is not None for position in found.values()))


def _check_file(path: Path, table: str, rows: int) -> None:
    if [*path.parent.glob("*.damaged-*")]:
        raise BrokenPromiseError("the file was damaged, and put aside")
    with closing(sqlite3.connect(path)) as connection:
        problems = connection.execute("PRAGMA integrity_check").fetchall()
        (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    if problems != [("ok",)]:
        raise BrokenPromiseError(f"the file is corrupt: {problems[:3]}")
    if count != rows:
        raise BrokenPromiseError(f"{count} rows in {table}, not {rows}")


def _immutable(letter: Any) -> tuple[object, ...]:
    where = letter.uid, letter.pipeline_id, letter.run_id, letter.stage, letter.sink
    return *where, letter.record, letter.origin, letter.error, letter.first_failed_at, letter.fidelity


async def examine(found: Iterable[Cut], place: Place, check: Check = check_letters, *, most: int = KEPT) -> Tally:
    """Have *check* look at the image of each cut in what *place* traced, until *most* are bad; keep some of these."""
    tally = Tally()
    for cut in found:
        with TemporaryDirectory(dir=place.room) as folder:
            cut.image.write(Path(folder))
            try:
                await check(Path(folder, place.database), cut.history)
            except (BrokenPromiseError, AgoraError, sqlite3.Error, ValueError) as exc:
                kept = place.folder / f"broken-{len(tally.broken)}"
                if len(tally.broken) < KEPT:
                    cut.image.write(kept)
                what = f"cut after operation {cut.after} ({cut.image.story}), {kept}"
                tally.broken.append(f"{what}: {type(exc).__name__}: {exc}")
        tally.images += 1
        if len(tally.broken) == most:
            break
    return tally
