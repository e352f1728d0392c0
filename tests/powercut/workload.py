"""The process that is traced: does what a plan says with a real store, and notes what it asked for and was promised.

It is started as `python -m powercut.workload PLAN.json`.
"""

import asyncio
import ctypes
import json
import sqlite3
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from agora import SqliteDlq, SqliteState
from agora_core.builtin import sqlite_checkpoint, sqlite_file
from agora_core.spec.letters import LetterQuery, LetterState
from agora_core.testing.clocks import ManualClock
from agora_core.testing.dlq_samples import AGAIN, EVERYTHING, HOUR, NOON

from .promises import Step, letter_of, shown_by_uid


class Notes:
    """The trace, as its program writes into it."""

    def __init__(self, who: str) -> None:
        self._note = ctypes.CDLL(None).powercut_note  # only there when the shim was loaded
        self._who = who
        self._count = 0

    def begins(self, step: Step) -> str:
        """Say that *step* is asked for; return its name."""
        self._count += 1
        name = f"{self._who}{self._count}"
        self._write({"begin": name, "step": step})
        return name

    def ends(self, name: str) -> None:
        """Say that the step *name* was acknowledged."""
        self._write({"end": name})

    def found(self, found: Mapping[str, Any]) -> None:
        """Say what is there; nothing is in flight any more."""
        self._write({"found": found})

    def _write(self, note: Mapping[str, Any]) -> None:
        data = json.dumps(note).encode()
        self._note(data, ctypes.c_size_t(len(data)))


class LetterSteps:
    """The steps of a plan for a dead-letter store."""

    def __init__(self, store: SqliteDlq) -> None:
        self._store = store

    async def do(self, step: Step) -> None:
        """Ask the store for *step*."""
        match step["do"]:
            case "put":
                await self._store.put([letter_of(uid) for uid in step["uids"]])
            case "lease":
                await self._store.lease(LetterQuery(), token=step["token"], lasting=HOUR, limit=step["limit"])
            case "resolve":
                ids = await self._leased()
                resolved = [ids[uid] for uid in step["uids"]]
                await self._store.resolve(resolved, token=step["token"], state=LetterState(step["state"]))
            case "give_back":
                ids = await self._leased()
                failed = {ids[uid]: AGAIN for uid in step["failed"]}
                untried = {ids[uid]: None for uid in step["untried"]}
                await self._store.give_back(failed | untried, token=step["token"])
            case "discard":
                states = (LetterState.DEAD, LetterState.PARKED)
                await self._store.discard(LetterQuery(run_id=step["run_id"], states=states))

    async def look(self) -> dict[str, Any]:
        """Return what is there, the oldest first."""
        return shown_by_uid(await self._store.find(EVERYTHING))

    async def _leased(self) -> dict[str, int]:
        # Not right after a lease, so that nothing comes between it and the note that it was acknowledged.
        found = await self._store.find(LetterQuery(states=(LetterState.LEASED,)))
        return {one.uid: one.id for one in found}


class PositionSteps:
    """The steps of a plan for a state store."""

    def __init__(self, store: SqliteState) -> None:
        self._store = store
        self._asked: dict[str, None] = {}

    async def do(self, step: Step) -> None:
        """Ask the store for *step*."""
        self._asked[step["pipeline_id"]] = None
        await self._store.save_checkpoint(step["pipeline_id"], step["position"])

    async def look(self) -> dict[str, Any]:
        """Return what is there."""
        return {one: await self._store.checkpoint(one) for one in self._asked}


class Holder:
    """A reader that keeps the log from being moved into the database, as a shell that someone left open does."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def hold(self) -> None:
        """Begin to read."""
        self._connection = sqlite3.connect(f"{self._path.as_uri()}?mode=ro", uri=True, isolation_level=None)
        self._connection.execute("BEGIN")
        self._connection.execute("SELECT count(*) FROM owners").fetchone()

    def release(self) -> None:
        """Stop reading."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


async def follow(plan: Mapping[str, Any]) -> None:
    """Do all rounds of *plan*: the steps of one at the same time, one round after the other."""
    path, notes = Path(plan["path"]), Notes(plan["who"])
    clock = ManualClock(NOON)
    store = (SqliteDlq if plan["store"] == "dlq" else SqliteState)(path, clock=clock)
    steps: Any = (LetterSteps if plan["store"] == "dlq" else PositionSteps)(store)
    holder = Holder(path)

    async def one(step: Step) -> None:
        name = notes.begins(step)
        await steps.do(step)
        notes.ends(name)

    async def look() -> None:
        notes.found(await steps.look())

    async def hold() -> None:
        holder.hold()

    async def release() -> None:
        holder.release()

    plainly: dict[str, Callable[[], Any]] = {
        "open": store.open, "close": store.close, "look": look, "hold": hold, "release": release,
    }  # fmt: skip
    for group in plan["rounds"]:
        await asyncio.gather(*(plainly[step["do"]]() if step["do"] in plainly else one(step) for step in group))


def adjust(plan: Mapping[str, Any]) -> None:
    """Let a short plan have what takes long: checkpoints of a small log, or a disk that is synced too seldom."""
    for module, name, key in (
        (sqlite_checkpoint, "CHECKPOINT_AT", "checkpoint_at"),
        (sqlite_file, "WAL_KEPT", "wal_kept"),
    ):
        if key in plan:
            getattr(module, name)  # or it has another name now, and the plan would prove less than it says
            setattr(module, name, plan[key])
    if "synchronous" in plan:
        level = ("off", "normal", "full").index(plan["synchronous"])
        right = sqlite_file.SqliteFile._pragmas

        def wrong(self: sqlite_file.SqliteFile, *, writing: bool) -> list[tuple[str, str | int, str | int]]:
            pragmas = right(self, writing=writing)
            at = [name for name, _, _ in pragmas].index("synchronous")
            return [*pragmas[:at], ("synchronous", plan["synchronous"], level), *pragmas[at + 1 :]]

        sqlite_file.SqliteFile._pragmas = wrong  # type: ignore[method-assign]  # what no user can do


def main(file: str) -> None:
    """Follow the plan in *file*."""
    plan = json.loads(Path(file).read_text(encoding="utf-8"))
    adjust(plan)
    asyncio.run(follow(plan))


if __name__ == "__main__":
    main(sys.argv[1])
