"""The simulator itself: what was synced is never lost, and of the rest each outcome is possible."""

import os
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .disks import SECTOR, Disk, File, Folder, Resized, UnsoundTraceError, Written
from .losses import FILE_LOSSES, assembled, by_chance, everything, nothing, worst
from .traces import Kind, Operation

written = st.builds(Written, st.integers(0, 2000), st.binary(min_size=1, max_size=1500))
resized = st.builds(Resized, st.integers(0, 3000), st.booleans())
changes = st.lists(written | resized, max_size=6)
seeds = st.integers(0, 2**32).map(Random)
files = st.builds(File, st.binary(max_size=2000), changes)
losses = st.sampled_from(FILE_LOSSES)

OLD, NEW = b"o" * SECTOR, b"n" * SECTOR


def versions(file: File) -> list[bytes]:
    """Return what *file* held at the last sync and after each change since."""
    return [File(file.synced, file.changes[:many]).now() for many in range(len(file.changes) + 1)]


def opened(path: str, *, handle: int = 1, flags: int = os.O_CREAT) -> Operation:
    return Operation(kind=Kind.OPEN, handle=handle, number=flags, payload=path.encode())


def wrote(data: bytes, *, at: int = 0, handle: int = 1) -> Operation:
    return Operation(kind=Kind.WRITE, handle=handle, number=at, payload=data)


def synced(*, handle: int = 1) -> Operation:
    return Operation(kind=Kind.SYNC, handle=handle)


def disk_after(*done: Operation) -> Disk:
    disk = Disk()
    for operation in done:
        disk.replay(operation)
    return disk


def outcomes(disk: Disk) -> list[dict[str, bytes | None]]:
    """Return the images that many power cuts leave, each once."""
    found = [by_chance(disk, Random(seed)).contents for seed in range(400)]
    return [one for at, one in enumerate(found) if one not in found[:at]]


@given(files)
def test_a_file_reads_as_a_real_one(tmp_path_factory, file):
    """Writes and changes of length do what the operating system does."""
    real = tmp_path_factory.mktemp("real") / "file"
    real.write_bytes(file.synced)
    with real.open("r+b") as handle:
        for change in file.changes:
            if isinstance(change, Written):
                os.pwrite(handle.fileno(), change.data, change.offset)
            else:
                os.ftruncate(handle.fileno(), change.resized(real.stat().st_size))

    assert file.now() == real.read_bytes()
    assert file.sizes() == [len(version) for version in versions(file)]


@given(files)
def test_the_two_ends(file):
    """Everything lost is what was synced, nothing lost is what programs see."""
    assert nothing(file, Random(0))[1] == file.synced
    assert everything(file, Random(0))[1] == file.now()
    assert assembled(file, lambda sector: None, size=None) == file.now()
    assert assembled(file, lambda sector: 0, size=0) == file.synced


@given(files, st.integers(0, 6))
def test_a_prefix_is_what_was_there_then(file, many):
    """A cut that keeps the first changes leaves what programs saw after these."""
    done = min(many, len(file.changes))

    assert assembled(file, lambda sector: done, size=done) == versions(file)[done]


@given(files, losses, seeds)
def test_each_sector_is_of_one_moment(file, loss, chance):
    """Whatever is left: its length was the file's, and a sector that was synced is whole, as at some moment since."""
    if not file.changes:
        return
    _, left = loss(file, chance)

    padded = [version.ljust(4000, b"\0") for version in versions(file)]
    assert len(left) in file.sizes()
    for begin in range(0, min(len(left), len(file.synced)) - SECTOR + 1, SECTOR):
        assert left[begin : begin + SECTOR] in [version[begin : begin + SECTOR] for version in padded]


@given(files, losses, seeds)
def test_what_was_not_touched_since_the_sync_is_never_lost(file, loss, chance):
    """Bytes outside all that was written or cut since the last sync are what they were."""
    if not file.changes:
        return
    safe = min([len(file.synced), *file.sizes()])
    touched = {sector for change in file.changes if isinstance(change, Written) for sector in change.sectors}

    _, left = loss(file, chance)

    for begin in range(0, safe - SECTOR + 1, SECTOR):
        if begin // SECTOR not in touched:
            assert left[begin : begin + SECTOR] == file.synced[begin : begin + SECTOR]


@given(files, seeds)
def test_after_a_sync_nothing_can_be_lost(file, chance):
    """There is one image of a disk of which all is synced."""
    file.sync()
    disk = Disk()
    disk.root = Folder({"file": file})

    assert by_chance(disk, chance).contents == worst(disk, chance).contents == {"file": file.now()}


def test_all_halves_of_a_write_are_tried():
    """A write of two sectors over old ones arrives whole, not at all, or as either half."""
    disk = disk_after(opened("f"), wrote(OLD + OLD), synced(), opened("", handle=2), synced(handle=2), wrote(NEW + NEW))

    left = outcomes(disk)

    assert len(left) == 4
    assert all({"f": one} in left for one in (OLD + OLD, NEW + OLD, OLD + NEW, NEW + NEW))


def test_later_writes_may_arrive_before_earlier_ones():
    """Nothing but a sync orders two writes."""
    disk = disk_after(opened("f"), opened("", handle=2), synced(handle=2), wrote(NEW), wrote(NEW, at=SECTOR))

    assert {"f": bytes(SECTOR) + NEW} in outcomes(disk)


def test_a_length_may_arrive_without_its_data():
    """A file that grew may hold zeros, or what some other file left on the disk."""
    disk = disk_after(opened("f"), opened("", handle=2), synced(handle=2), wrote(NEW))

    left = [one["f"] for one in outcomes(disk)]

    assert bytes(SECTOR) in left
    assert any(len(one) == SECTOR and one not in (bytes(SECTOR), NEW) for one in left)


def test_a_name_is_not_durable_before_its_folder_is_synced():
    """To sync a new file keeps its contents, not its name."""
    disk = disk_after(opened("f"), wrote(NEW), synced())

    assert worst(disk, Random(0)).contents == {}
    assert sorted(map(str, outcomes(disk))) == sorted(map(str, [{}, {"f": NEW}]))


def test_a_removed_name_may_come_back():
    """A name that was removed is gone for certain after a sync of its folder alone."""
    made = opened("f"), wrote(NEW), synced(), opened("", handle=2), synced(handle=2)
    removed = Operation(kind=Kind.REMOVE, payload=b"f\0")

    assert {"f": NEW} in outcomes(disk_after(*made, removed))
    assert outcomes(disk_after(*made, removed, synced(handle=2))) == [{}]


def test_a_rename_is_whole_or_not_at_all():
    """A file has its old name or its new one, never both or neither."""
    made = opened("f"), wrote(NEW), synced(), opened("", handle=2), synced(handle=2)
    moved = Operation(kind=Kind.RENAME, payload=b"f\0g")

    left = outcomes(disk_after(*made, moved))

    assert sorted(map(str, left)) == sorted(map(str, [{"f": NEW}, {"g": NEW}]))


def test_two_names_are_one_file():
    """What is written under one name of a file, and synced, is there under the other."""
    disk = disk_after(opened("f"), Operation(kind=Kind.LINK, payload=b"f\0g"), wrote(NEW), synced())

    assert {"g": NEW} in outcomes(disk)


def test_a_folder_needs_a_sync_of_the_one_above():
    """A new folder whose own names are synced is lost as long as it is in no synced folder itself."""
    done = Operation(kind=Kind.MAKE_FOLDER, payload=b"d\0"), opened("d/f"), wrote(NEW), synced()
    disk = disk_after(*done, opened("d", handle=2), synced(handle=2))

    assert {} in outcomes(disk)

    for operation in opened("", handle=3), synced(handle=3):
        disk.replay(operation)
    assert outcomes(disk) == [{"d": None, "d/f": NEW}]


def test_what_was_opened_to_be_emptied_may_be_full_again():
    """Emptying a file is a change like others."""
    made = opened("f"), wrote(NEW), synced(), opened("", handle=2), synced(handle=2)
    disk = disk_after(*made, opened("f", handle=3, flags=os.O_TRUNC))

    left = outcomes(disk)

    assert {"f": NEW} in left
    assert {"f": b""} in left


def test_what_was_there_before_is_durable(tmp_path):
    """A disk begins with the files of a folder, synced."""
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").write_bytes(OLD)

    left = worst(Disk(tmp_path), Random(0))
    left.write(tmp_path / "copy")

    assert left.contents == {"d": None, "d/f": OLD}
    assert (tmp_path / "copy" / "d" / "f").read_bytes() == OLD


def test_memory_of_sqlite_is_garbage_after_a_cut():
    """A `-shm` file is left out, or holds anything; no other file may be written through memory."""
    mapped = Operation(kind=Kind.MAP, handle=1)

    left = outcomes(disk_after(opened("a-shm"), opened("", handle=2), synced(handle=2), mapped))

    assert {} in left
    assert len(left) > 10
    with pytest.raises(UnsoundTraceError, match="'f' is written through memory"):
        worst(disk_after(opened("f"), opened("", handle=2), synced(handle=2), mapped), Random(0))


@pytest.mark.parametrize(
    "wrong",
    [
        opened("f", flags=0),
        opened("d/f"),
        wrote(NEW),
        synced(),
        Operation(kind=Kind.LINK, payload=b"f\0g"),
        Operation(kind=Kind.RENAME, payload=b"\0g"),
        Operation(kind=Kind.UNKNOWN, payload=b"f"),
    ],
    ids=lambda operation: operation.kind.name,
)
def test_a_trace_that_does_not_say_enough_is_refused(wrong):
    """What was done to something that nothing made cannot be simulated."""
    with pytest.raises(UnsoundTraceError):
        disk_after(wrong)
