"""A disk as an operating system keeps it: what was synced is on it, what was not may or may not be.

The rules are those of POSIX, stricter than any real file system: to sync a file makes its contents durable and nothing
else, its name is durable once its folder was synced, and nothing that was not synced is ordered.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from .traces import Kind, Operation

SECTOR = 512
"""What a disk writes whole or not at all, in bytes."""


class UnsoundTraceError(Exception):
    """The trace does not say enough to know what is on the disk."""


@dataclass(frozen=True, slots=True)
class Written:
    """*data* was written at *offset*."""

    offset: int
    data: bytes

    @property
    def sectors(self) -> range:
        """Those that it touches."""
        return range(self.offset // SECTOR, (self.offset + len(self.data) - 1) // SECTOR + 1)

    def resized(self, size: int) -> int:
        """Return how long a file of *size* is afterwards."""
        return max(size, self.offset + len(self.data))


@dataclass(frozen=True, slots=True)
class Resized:
    """The file was made *size* bytes long, with zeros where it grew; one that *only_grows* is not cut."""

    size: int
    only_grows: bool = False

    def resized(self, size: int) -> int:
        """Return how long a file of *size* is afterwards."""
        return max(size, self.size) if self.only_grows else self.size


Change: TypeAlias = Written | Resized


@dataclass(slots=True, eq=False)
class File:
    """A file: its contents at the last sync, and what was done to it since."""

    synced: bytes = b""
    changes: list[Change] = field(default_factory=list)
    mapped: bool = False

    def sync(self) -> None:
        """Make what it holds now durable."""
        if self.changes:
            self.synced, self.changes = self.now(), []

    def now(self) -> bytes:
        """Return what programs read in it."""
        contents = bytearray(self.synced)
        for change in self.changes:
            size = change.resized(len(contents))
            del contents[size:]
            contents.extend(bytes(size - len(contents)))
            if isinstance(change, Written):
                contents[change.offset : change.offset + len(change.data)] = change.data
        return bytes(contents)

    def sizes(self) -> list[int]:
        """Return how long it was at the last sync, and after each change since."""
        sizes = [len(self.synced)]
        for change in self.changes:
            sizes.append(change.resized(sizes[-1]))
        return sizes


Entries: TypeAlias = "dict[str, File | Folder | None]"


@dataclass(slots=True, eq=False)
class Folder:
    """A folder: its names at the last sync, and what changed since; None stands for a name that was removed."""

    synced: Entries = field(default_factory=dict)
    changes: list[Entries] = field(default_factory=list)

    def sync(self) -> None:
        """Make the names that are in it now durable."""
        self.synced, self.changes = self.now(), []

    def now(self) -> Entries:
        """Return what programs see in it."""
        return self.after(self.changes)

    def after(self, changes: list[Entries]) -> Entries:
        """Return what is in it when of all *changes* just these have reached the disk."""
        entries = dict(self.synced)
        for change in changes:
            entries |= change
        return {name: node for name, node in entries.items() if node is not None}


class Disk:
    """The folder that is traced, in which what was there before is durable."""

    def __init__(self, before: Path | None = None) -> None:
        self.root = Folder() if before is None else _read(before)
        self._handles: dict[tuple[int, int], File | Folder] = {}

    def replay(self, operation: Operation) -> None:
        """Do *operation*; raise `UnsoundTraceError` when that cannot be told from what was done before."""
        match operation.kind:
            case Kind.NOTE:
                pass
            case Kind.OPEN:
                self._handles[operation.process, operation.handle] = self._open(operation)
            case Kind.CLOSE:
                self._handles.pop((operation.process, operation.handle))
            case Kind.SYNC:
                self._node(operation).sync()
            case Kind.WRITE | Kind.RESIZE | Kind.ALLOCATE | Kind.MAP:
                self._change(self._file(operation), operation)
            case Kind.MAKE_FOLDER | Kind.REMOVE:
                folder, name = self._place(operation.paths[0])
                folder.changes.append({name: Folder() if operation.kind is Kind.MAKE_FOLDER else None})
            case Kind.LINK | Kind.RENAME:
                self._name_again(operation)
            case Kind.UNKNOWN:
                raise UnsoundTraceError(f"no rule says what {operation} left on the disk")

    def files(self) -> Iterator[tuple[str, File]]:
        """Return each file that programs see, with its path."""
        yield from _files(self.root, "")

    def __contains__(self, path: str) -> bool:
        folder, name = self._place(path)
        return name in folder.now()

    def _open(self, operation: Operation) -> File | Folder:
        path, _ = operation.paths
        if not path:
            return self.root
        folder, name = self._place(path)
        node = folder.now().get(name)
        if node is None:
            if not operation.number & os.O_CREAT:
                raise UnsoundTraceError(f"{path!r} was opened, and nothing made it")
            node = File()
            folder.changes.append({name: node})
        elif operation.number & os.O_TRUNC and isinstance(node, File):
            node.changes.append(Resized(0))
        return node

    def _node(self, operation: Operation) -> File | Folder:
        try:
            return self._handles[operation.process, operation.handle]
        except KeyError:
            raise UnsoundTraceError(f"nothing was opened for {operation.kind}") from None

    def _file(self, operation: Operation) -> File:
        node = self._node(operation)
        if not isinstance(node, File):
            raise UnsoundTraceError(f"{operation.kind} of a folder")
        return node

    def _change(self, file: File, operation: Operation) -> None:
        match operation.kind:
            case Kind.WRITE:
                file.changes.append(Written(operation.number, operation.payload))
            case Kind.MAP:
                file.mapped = True
            case _:
                file.changes.append(Resized(operation.number, only_grows=operation.kind is Kind.ALLOCATE))

    def _place(self, path: str) -> tuple[Folder, str]:
        folder = self.root
        *parents, name = path.split("/")
        for parent in parents:
            node = folder.now().get(parent)
            if not isinstance(node, Folder):
                raise UnsoundTraceError(f"{path!r} is in no folder that was made")
            folder = node
        return folder, name

    def _name_again(self, operation: Operation) -> None:
        old, new = operation.paths
        if not old or not new:
            raise UnsoundTraceError(f"{old or new!r} came from outside or went there")
        folder, name = self._place(old)
        target, new_name = self._place(new)
        node = folder.now().get(name)
        if node is None:
            raise UnsoundTraceError(f"{old!r} got another name, and nothing made it")
        if operation.kind is Kind.LINK:
            target.changes.append({new_name: node})
        elif target is folder:
            folder.changes.append({name: None, new_name: node})
        else:
            raise UnsoundTraceError(f"{old!r} was moved into another folder, for which there is no rule")


def _files(folder: Folder, prefix: str) -> Iterator[tuple[str, File]]:
    for name, node in folder.now().items():
        if isinstance(node, File):
            yield prefix + name, node
        elif isinstance(node, Folder):
            yield from _files(node, f"{prefix}{name}/")


def _read(folder: Path) -> Folder:
    return Folder({path.name: _read(path) if path.is_dir() else File(path.read_bytes()) for path in folder.iterdir()})
