"""A damaged file is put aside, and what can still be read of it goes into a new one, while the worker goes on."""

import logging
import sqlite3
from contextlib import closing
from threading import Lock

from agora_core.builtin.sqlite_checkpoint import CheckpointLock
from agora_core.builtin.sqlite_creation import drafted
from agora_core.builtin.sqlite_file import Identity, SqliteFile
from agora_core.builtin.sqlite_pages import opened_pages
from agora_core.builtin.sqlite_quarantine import all_aside, connect, set_aside, undo_half
from agora_core.builtin.sqlite_salvage import Saved, salvage
from agora_core.spec.system_clock import SystemClock
from agora_core.spec.time import Clock

_MOST_NAMED = 20
"""So many of the rows that are lost are named."""

log = logging.getLogger("agora.builtin")


class Rescuer:
    """Rescues *file*, for all who use it in this process; any thread may ask."""

    def __init__(self, file: SqliteFile, clock: Clock | None = None) -> None:
        self._file = file
        self._clock = clock or SystemClock()
        self._gate = Lock()
        self._outcomes: dict[str, str] = {}
        self._seen: set[str] = set()
        self.known: Identity | None = None
        """The file that was last opened here: it is ours, whatever stands in it by now."""
        self.attempts = 0
        """How often it was tried. Each time the file was read past SQLite, and its locks for this process went."""

    def rescue(self, damaged: Identity | None) -> None:
        """Put another file into the place of the one that is *damaged*, unless that was done already.

        Raises `StoreError`, `sqlite3.Error` or `OSError`; then the damaged one is where it was.
        """
        with self._gate, closing(CheckpointLock(self._file)) as lock, lock.excluding():
            if damaged is None or self._file.identity() != damaged:
                return
            self.attempts += 1
            undo_half(self._file)
            with drafted(self._file) as draft:
                with (
                    opened_pages(self._file.path, self._file.beside("-wal")) as pages,
                    closing(sqlite3.connect(draft, isolation_level=None)) as new,
                ):
                    saved = salvage(pages, self._file.saved, new)
                aside = set_aside(self._file, draft, self._clock.now())
        self._outcomes[aside.name] = _told(saved)
        self._seen.add(aside.name)
        extra = {
            "path": str(self._file.path),
            "aside": str(aside),
            "saved": saved.rows,
            "saved_in_part": saved.in_part,
            "lost": len(saved.lost),
            "lost_ids": sorted(saved.lost)[:_MOST_NAMED],
            "unreadable_places": saved.unreadable,
        }
        log.error("store was damaged, a new one goes on with what could be saved", extra=extra)

    def connected(self, *, writing: bool) -> tuple[sqlite3.Connection, Identity | None]:
        """Return a connection to the file, and which file that is; it is not exchanged meanwhile."""
        with closing(CheckpointLock(self._file)) as lock, lock.writing():
            return connect(self._file, writing=writing), self._file.identity()

    def warn(self) -> None:
        """Log once of each damaged file that is aside since an earlier time."""
        for aside in all_aside(self._file):
            if aside.name not in self._seen:
                self._seen.add(aside.name)
                extra = {"path": str(self._file.path), "aside": str(aside)}
                log.warning("damaged file of a store is still aside", extra=extra)

    def sentences(self) -> tuple[str, ...]:
        """Say of each damaged file that is still aside what became of it."""
        return tuple(
            f"{self._file.name} was damaged{self._outcomes.get(aside.name, '')}; the damaged file is {str(aside)!r}: "
            "keep it for rescue, and remove it when nothing is missed"
            for aside in all_aside(self._file)
        )


def _told(saved: Saved) -> str:
    told = f": {_counted(saved.rows, 'row')} saved"
    if saved.in_part:
        told += f", {saved.in_part} of them only in part"
    if saved.lost:
        named = ", ".join(map(str, sorted(saved.lost)[:_MOST_NAMED]))
        told += f", at least {len(saved.lost)} lost ({named}{', …' if len(saved.lost) > _MOST_NAMED else ''})"
    if saved.unreadable:
        told += f", {_counted(saved.unreadable, 'place')} unreadable"
    return told


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
