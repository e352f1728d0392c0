"""A file that is there whole, and on disk, or not at all."""

import os
from contextlib import suppress
from pathlib import Path
from tempfile import mkstemp
from types import TracebackType
from typing import Self

from agora_core.cli.endings import FAILED, RefusedError
from agora_core.spec.errors import ConfigError


class NewFile:
    """Writes beside *path*, and takes its name when all of it is on disk; what is there is replaced by *force* only."""

    def __init__(self, path: Path, *, force: bool) -> None:
        self._path = path
        self._force = force
        self._name = ""
        self._handle = -1

    def __enter__(self) -> Self:
        self._refuse_what_is_there()
        try:
            self._handle, self._name = mkstemp(dir=self._path.parent, prefix=f".{self._path.name[:100]}.")
        except OSError as exc:
            raise ConfigError(f"cannot write {str(self._path)!r}: {exc.strerror}") from exc
        return self

    def write(self, data: bytes) -> None:
        """Write all of *data*."""
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(self._handle, left) :]
        except OSError as exc:
            raise self._failed(exc) from exc

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._commit()
        finally:
            os.close(self._handle)
            with suppress(FileNotFoundError):  # it has its name by now
                Path(self._name).unlink()

    def _commit(self) -> None:
        self._refuse_what_is_there()
        try:
            os.fsync(self._handle)
            Path(self._name).replace(self._path)
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as exc:
            raise self._failed(exc) from exc

    def _refuse_what_is_there(self) -> None:
        if not os.path.lexists(self._path):
            return
        if not self._path.is_file() or self._path.is_symlink():
            raise ConfigError(f"{str(self._path)!r} is no plain file; write - for standard output")
        if not self._force:
            raise ConfigError(f"{str(self._path)!r} is there already; --force replaces it")

    def _failed(self, error: OSError) -> RefusedError:
        return RefusedError(f"cannot write {str(self._path)!r}: {error.strerror}; nothing is there", code=FAILED)
