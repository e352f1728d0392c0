"""`SqliteState`: the positions of sources in a SQLite file, durable when saved."""

import sqlite3
from pathlib import Path
from zlib import crc32

from agora_core.builtin.codec import decode_record, encode_record
from agora_core.builtin.codec_description import printable
from agora_core.builtin.codec_scalars import NotCodableError
from agora_core.builtin.sqlite_file import SqliteFile
from agora_core.builtin.sqlite_moments import microseconds
from agora_core.builtin.sqlite_owners import OWNERS
from agora_core.builtin.sqlite_store import SqliteStore
from agora_core.spec.errors import StoreError
from agora_core.spec.letters import Fidelity
from agora_core.spec.records import Position
from agora_core.spec.system_clock import SystemClock
from agora_core.spec.time import Clock

APPLICATION_ID = 0x41475354  # "AGST"
VERSION = 1
SCHEMA = f"""
CREATE TABLE checkpoints (
    pipeline_id TEXT PRIMARY KEY,
    position BLOB NOT NULL,
    crc INTEGER NOT NULL,
    saved_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
{OWNERS}
"""
_FIND = "SELECT position, crc FROM checkpoints WHERE pipeline_id = ?"
_SAVE = (
    "INSERT INTO checkpoints (pipeline_id, position, crc, saved_at) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (pipeline_id) DO UPDATE"
    " SET position = excluded.position, crc = excluded.crc, saved_at = excluded.saved_at"
)


class SqliteState:
    """Keeps positions in the SQLite file *path*, which is made when it is opened.

    Waits *busy_timeout_seconds* for other processes that write it. *clock* tells when a position was saved.
    """

    def __init__(
        self, path: str | Path = ".agora/state.db", *, busy_timeout_seconds: float = 5.0, clock: Clock | None = None
    ) -> None:
        self.path = Path(path)
        self._clock = clock or SystemClock()
        self._file = SqliteFile(
            path=self.path,
            kind="state store",
            application_id=APPLICATION_ID,
            version=VERSION,
            schema=SCHEMA,
            busy_timeout_seconds=busy_timeout_seconds,
        )
        self._store = SqliteStore(self._file)

    def __repr__(self) -> str:
        return f"SqliteState({str(self.path)!r})"

    async def open(self) -> None:
        """Make the file, or refuse what is there with `ConfigError`; opens are counted."""
        await self._store.open()

    async def close(self) -> None:
        """Write what still waits; the last close lets go of the file."""
        await self._store.close()

    async def checkpoint(self, pipeline_id: str) -> Position | None:
        """Return the position last saved for the pipeline, or None; a damaged one raises `StoreError`."""
        row = await self._store.read(lambda reader: reader.execute(_FIND, [printable(pipeline_id)]).fetchone())
        if row is None:
            return None
        payload, crc = row
        try:
            if crc32(payload) != crc:
                raise NotCodableError("it does not fit its checksum")
            return decode_record(payload)
        except NotCodableError as exc:
            raise StoreError(
                f"{self._file.name} has a damaged checkpoint of pipeline {pipeline_id!r}: {exc}; remove its row "
                "from the table 'checkpoints' to read the source from its start"
            ) from exc

    async def save_checkpoint(self, pipeline_id: str, position: Position) -> None:
        """Remember *position*, on disk when it returns."""
        kept = encode_record(position)
        if kept.fidelity is not Fidelity.EXACT:
            raise StoreError(
                f"{self._file.name} cannot keep the position of pipeline {pipeline_id!r}: "
                f"{kept.type} is not a JSON value (number, text, list, dict)"
            )
        row = [printable(pipeline_id), kept.payload, crc32(kept.payload), microseconds(self._clock.now())]

        def save(writer: sqlite3.Connection) -> None:
            writer.execute(_SAVE, row)

        await self._store.write(save, prepare=lambda: len(kept.payload))
