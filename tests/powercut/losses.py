"""What a power cut may leave of a disk: all that was synced, and of the rest whatever chance keeps."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from random import Random
from typing import TypeAlias

from .disks import SECTOR, Disk, Entries, File, Folder, UnsoundTraceError, Written

REBUILT = "-shm"
"""The end of the names of files that SQLite makes anew after a cut, whatever is in them."""


@dataclass(frozen=True, slots=True)
class Image:
    """A disk after a power cut: its files by path, None for folders; *story* says how it came about."""

    story: str
    contents: dict[str, bytes | None]

    def digest(self) -> bytes:
        """Return what tells it from others, but for files that are made anew."""
        total = blake2b(digest_size=16)
        for path, data in sorted(self.contents.items()):
            if not path.endswith(REBUILT):
                total.update(f"{path}\0{-1 if data is None else len(data)}\0".encode())
                total.update(data or b"")
        return total.digest()

    def write(self, folder: Path) -> None:
        """Put it into *folder*, which is empty or made now."""
        folder.mkdir(parents=True, exist_ok=True)
        for path, data in self.contents.items():
            target = folder / path
            if data is None:
                target.mkdir(parents=True, exist_ok=True)
            else:
                target.write_bytes(data)


Kept: TypeAlias = "tuple[str, bytes]"
"""What is left of a file, behind the words for it."""


def nothing(file: File, chance: Random) -> Kept:
    """Leave what was synced alone."""
    return "synced", file.synced


def everything(file: File, chance: Random) -> Kept:
    """Leave all that was written."""
    return "all", file.now()


def beginning(file: File, chance: Random) -> Kept:
    """Leave what was done first."""
    done = chance.randrange(len(file.changes) + 1)
    return f"first {done}", assembled(file, lambda sector: done, size=done)


def torn(file: File, chance: Random) -> Kept:
    """Leave what was done first, and of the write that follows the beginning, the end or some sectors."""
    at = chance.randrange(len(file.changes))
    change = file.changes[at]
    touched = change.sectors if isinstance(change, Written) else range(0)
    edge = chance.choice(touched) if touched else 0
    sort = chance.choice(("beginning", "end", "sectors"))

    def kept(sector: int) -> int:
        if sector not in touched:
            return at
        arrived = {"beginning": sector <= edge, "end": sector >= edge, "sectors": chance.random() < 0.5}[sort]
        return at + arrived

    return f"first {at}, {sort} of next", assembled(file, kept, size=at + chance.randrange(2))


def hole(file: File, chance: Random) -> Kept:
    """Leave all but one change, and what came over it later."""
    at = chance.randrange(len(file.changes))
    change = file.changes[at]
    touched = change.sectors if isinstance(change, Written) else range(0)
    return f"all but {at}", assembled(file, lambda sector: at if sector in touched else None, size=None)


def scattered(file: File, chance: Random) -> Kept:
    """Leave each sector as it was at some moment since the last sync, and the length of another moment."""
    moments = len(file.changes) + 1
    size = chance.choice((None, chance.randrange(moments)))
    return "scattered", assembled(file, lambda sector: chance.randrange(moments), size=size, filler=_filler(chance))


def unwritten(file: File, chance: Random) -> Kept:
    """Leave the new length without the data."""
    return "length alone", assembled(file, lambda sector: 0, size=None, filler=_filler(chance))


FILE_LOSSES: tuple[Callable[[File, Random], Kept], ...] = (
    nothing, everything, beginning, torn, torn, hole, scattered, scattered, unwritten,
)  # fmt: skip


def assembled(
    file: File,
    kept: Callable[[int], int | None],
    *,
    size: int | None,
    filler: Callable[[int], bytes] = bytes,
) -> bytes:
    """Return *file* with each sector as it was after its first *kept* changes, and as long as after *size* of them.

    None stands for all changes. What the file grew by since the last sync is *filler* where nothing was written.
    """
    sizes = file.sizes()
    moments = len(file.changes)
    contents = bytearray(file.synced)
    contents += filler(max(sizes) - len(contents))
    chosen: dict[int, int] = {}

    def moment(sector: int) -> int:
        if sector not in chosen:
            found = kept(sector)
            chosen[sector] = moments if found is None else found
        return chosen[sector]

    for at, (change, before, after) in enumerate(zip(file.changes, sizes, sizes[1:], strict=False)):
        if isinstance(change, Written):
            _lay(contents, change.offset, change.data, at, moment)
        elif after < before:
            _lay(contents, after, bytes(before - after), at, moment)
    return bytes(contents[: sizes[-1 if size is None else size]])


def _lay(contents: bytearray, offset: int, data: bytes, at: int, moment: Callable[[int], int]) -> None:
    """Write *data* into the sectors that are later than change *at*."""
    for sector in Written(offset, data).sectors:
        if moment(sector) > at:
            begin = max(sector * SECTOR, offset)
            end = min((sector + 1) * SECTOR, offset + len(data))
            contents[begin:end] = data[begin - offset : end - offset]


def _filler(chance: Random) -> Callable[[int], bytes]:
    return chance.choice((bytes, chance.randbytes))


def worst(disk: Disk, chance: Random) -> Image:
    """Return what a power cut leaves when all is lost that may be."""
    return _image(disk, chance, nothing, _no_names)


def by_chance(disk: Disk, chance: Random) -> Image:
    """Return what a power cut may leave, each file and each folder by the luck that it has."""
    return _image(disk, chance, lambda file, _: chance.choice(FILE_LOSSES)(file, chance), _some_names)


def _image(
    disk: Disk,
    chance: Random,
    files: Callable[[File, Random], Kept],
    folders: Callable[[Folder, Random], Entries],
) -> Image:
    """Return what is left of *disk* when *files* and *folders* choose for each."""
    contents: dict[str, bytes | None] = {}
    stories: list[str] = []

    def look(folder: Folder, prefix: str) -> None:
        for name, node in folders(folder, chance).items():
            path = prefix + name
            if isinstance(node, Folder):
                contents[path] = None
                look(node, f"{path}/")
            elif path.endswith(REBUILT):
                if chance.random() < 0.5:
                    contents[path] = chance.randbytes(chance.choice((0, 100, 32768)))
            elif isinstance(node, File):
                if node.mapped:
                    raise UnsoundTraceError(f"{path!r} is written through memory, which no trace shows")
                story, contents[path] = files(node, chance) if node.changes else ("synced", node.synced)
                stories.append(f"{path}: {story}")

    look(disk.root, "")
    return Image("; ".join(stories), contents)


def _no_names(folder: Folder, chance: Random) -> Entries:
    return folder.after([])


def _some_names(folder: Folder, chance: Random) -> Entries:
    sort = chance.choice(("none", "all", "first", "any"))
    if sort == "any":
        return folder.after([change for change in folder.changes if chance.random() < 0.5])
    many = {"none": 0, "all": len(folder.changes), "first": chance.randrange(len(folder.changes) + 1)}[sort]
    return folder.after(folder.changes[:many])
