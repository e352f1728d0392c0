"""A file that a sink writes: appended to, or replaced as a whole at a good end. All of it blocks."""

import fcntl
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Literal

from agora_core.builtin.paths import both_ways, unusable
from agora_core.spec.errors import ConfigError, RunError

Mode = Literal["append", "replace"]
MODES = ("append", "replace")

_CHUNK = 1 << 20


def checked_mode(mode: Mode) -> Mode:
    """Return *mode* if it is one, else raise `ConfigError`."""
    if mode not in MODES:
        raise ConfigError(f"mode must be 'append' or 'replace', not {mode!r}")
    return mode


class OutputFile:
    """An open file. In the mode `replace` it is another one beside *path*, until `publish` puts it in its place."""

    def __init__(self, path: Path, mode: Mode) -> None:
        self.path = path
        self.size = 0
        """How many bytes the file had when it was opened; 0 for a new one."""
        self._written_to = path
        self._dirty = False
        self._kept: list[bytes] = []
        with self._guarded("write"):
            self._descriptor = self._open_beside() if mode == "replace" else self._open_itself()

    @property
    def kept(self) -> int:
        """How many bytes are kept, and not written yet."""
        return sum(map(len, self._kept))

    def keep(self, data: bytes) -> None:
        """Have *data* written with what comes next; this alone never blocks, and may be called in another thread."""
        self._kept.append(data)

    def write(self, data: bytes = b"") -> None:
        """Write what is kept and all of *data*; or raise, keep what was kept, and leave nothing of *data*."""
        kept = self._kept[:]
        whole = b"".join([*kept, data])
        if whole:
            self._write_whole(whole)
        del self._kept[: len(kept)]

    def sync(self) -> None:
        """Return when everything that was written or kept is on the disk."""
        self.write()
        if self._dirty:
            with self._guarded("write"):
                os.fsync(self._descriptor)
            self._dirty = False

    def last_byte(self) -> bytes:
        """Return the last byte that the file had when it was opened."""
        return os.pread(self._descriptor, 1, self.size - 1) if self.size else b""

    def chunks(self) -> Iterator[bytes]:
        """Yield what the file had when it was opened."""
        place = 0
        while place < self.size:
            with self._guarded("read"):
                chunk = os.pread(self._descriptor, min(_CHUNK, self.size - place), place)
            if not chunk:
                return
            place += len(chunk)
            yield chunk

    def publish(self) -> None:
        """Make everything durable, put a replacement in its place, and close."""
        try:
            self._dirty = self._dirty or self._written_to != self.path
            self.sync()
            if self._written_to != self.path:
                with self._guarded("replace"):
                    self._written_to.replace(self.path)
                    self._sync_directory()
        except BaseException:
            self.discard()
            raise
        os.close(self._descriptor)

    def discard(self) -> None:
        """Close, and leave *path* as it was where it was to be replaced."""
        try:
            if self._written_to != self.path:
                self._written_to.unlink(missing_ok=True)
            else:
                self.sync()
        finally:
            os.close(self._descriptor)

    def _write_whole(self, data: bytes) -> None:
        self._dirty = True
        before = os.fstat(self._descriptor).st_size
        written = 0
        with self._guarded("write"):
            try:
                while written < len(data):
                    written += os.write(self._descriptor, data[written:] if written else data)
            except OSError:
                # A torn record would be glued to the next one. If the file grew by more than this, another process
                # appends to it too, and what it wrote is not ours to cut off.
                if os.fstat(self._descriptor).st_size == before + written:
                    os.ftruncate(self._descriptor, before)
                raise

    def _open_itself(self) -> int:
        self._prepare()
        is_new = not self.path.exists()
        descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self.size = os.fstat(descriptor).st_size
        if is_new:
            self._sync_directory()
        return descriptor

    def _open_beside(self) -> int:
        # A symbolic link stays, and what it points to is replaced.
        self.path = Path(os.path.realpath(self.path))
        self._prepare()
        self._remove_leftovers()
        self._written_to = self.path.with_name(f"{self._hidden}{token_hex(6)}.part")
        descriptor = os.open(self._written_to, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            os.fchmod(descriptor, stat.S_IMODE(self.path.stat().st_mode))
        return descriptor

    @property
    def _hidden(self) -> str:
        """How the names of files that may take the place of *path* begin."""
        return f".{self.path.name[:100]}."

    def _prepare(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            mode = self.path.stat().st_mode
            if stat.S_ISDIR(mode):
                raise RunError(f"{both_ways(self.path)} is a directory; name a file in it")
            if not stat.S_ISREG(mode):
                raise RunError(f"{both_ways(self.path)} is not a regular file; StdoutSink writes to standard output")

    def _remove_leftovers(self) -> None:
        """Remove what workers that were killed have left; a file that is being written is locked, and stays."""
        ours = re.compile(re.escape(self._hidden) + r"[0-9a-f]{12}\.part")
        for path in self.path.parent.iterdir():
            if not ours.fullmatch(path.name):
                continue
            with suppress(OSError):
                descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.unlink()
                finally:
                    os.close(descriptor)

    def _sync_directory(self) -> None:
        descriptor = os.open(self.path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    @contextmanager
    def _guarded(self, doing: str) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise unusable(self.path, doing, exc) from exc
