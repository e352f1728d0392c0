"""The file of a sink: an `OutputFile` in a thread of its own, opened and closed once per run."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from agora_core.builtin.output_file import Mode, OutputFile
from agora_core.builtin.own_thread import OwnThread
from agora_core.builtin.paths import both_ways
from agora_core.spec.errors import RunError

_FEW = 32
_ENOUGH = 512 * 1024


class SinkFile:
    """Never blocks the event loop, and does one thing at a time, in order.

    The way to the thread and back costs as much as a hundred records, so what is written is kept until there is enough
    of it, or until `flush`. Where records come by the few that cost does not count, and they are seen at once.
    """

    def __init__(self, path: Path, mode: Mode) -> None:
        self._path = path
        self._mode = mode
        self._thread = OwnThread(f"agora-write-{path.name}")
        self._file: OutputFile | None = None

    async def open(self, prepare: Callable[[OutputFile], None]) -> None:
        """Open the file and *prepare* it in the thread, or raise `RunError`."""
        if self._file is not None:
            raise RunError(f"the sink of {both_ways(self._path)} is open already; give each pipeline its own")

        def opened() -> OutputFile:
            file = OutputFile(self._path, self._mode)
            try:
                prepare(file)
            except BaseException:
                file.discard()
                raise
            return file

        try:
            self._file = await self._thread.acquire(opened, OutputFile.discard)
        except BaseException:
            self._thread.end()
            raise

    async def write(self, data: bytes, *, count: int) -> None:
        """Take *data*, the text of *count* records; or raise `RunError`, and leave nothing of it."""
        file = self._opened()
        if count < _FEW or file.kept + len(data) >= _ENOUGH:
            await self._thread.call(file.write, data)
        else:
            file.keep(data)

    async def flush(self) -> None:
        """Return when everything that was written is on the disk."""
        await self._thread.call(self._opened().sync)

    async def close(self) -> None:
        """End well: a replacement takes its place."""
        await self._end(OutputFile.publish)

    async def abort(self) -> None:
        """End badly: a replacement is thrown away; what was appended stays."""
        await self._end(OutputFile.discard)

    async def _end(self, how: Callable[[OutputFile], None]) -> None:
        file, self._file = self._file, None
        if file is not None:
            try:
                await self._thread.call(how, file)
            finally:
                self._thread.end()

    def _opened(self) -> OutputFile:
        if self._file is None:
            raise RunError(f"the sink of {both_ways(self._path)} is not open; call open() before it is written to")
        return self._file


class FileSink(Protocol):
    """A sink that has such a file. What all of them do alike is below: functions that they take for their methods."""

    path: Path
    mode: Mode
    file: SinkFile


async def flush(self: FileSink) -> None:
    """Return when everything is on the disk."""
    await self.file.flush()


async def close(self: FileSink) -> None:
    """End the file well: a replacement takes its place."""
    await self.file.close()


async def abort(self: FileSink) -> None:
    """End the file after a failure: a replacement is thrown away."""
    await self.file.abort()


def shown(self: FileSink) -> str:
    """Return the sink as it is written in Python."""
    return f"{type(self).__name__}({str(self.path)!r}, mode={self.mode!r})"
