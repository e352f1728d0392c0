"""Files of sinks: a replacement is seen whole or not at all, and a write that fails leaves nothing."""

import asyncio
import errno
import os
import stat
from pathlib import Path

import pytest

from agora_core.builtin.csv_files import CsvSink
from agora_core.builtin.jsonl import JsonlSink
from agora_core.builtin.output_file import OutputFile
from agora_core.spec.errors import RunError


def names_beside(path):
    return [each.name for each in path.parent.iterdir()]


@pytest.fixture
def path(tmp_path) -> Path:
    path = tmp_path / "out.jsonl"
    path.write_text("old\n")
    return path


@pytest.fixture
def full_disk(monkeypatch):
    """A disk on which three more bytes have room."""
    real = os.write
    room = [3]

    def write(descriptor, data):
        if not room[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        room[0] -= (written := real(descriptor, data[: room[0]]))
        return written

    monkeypatch.setattr(os, "write", write)


async def test_a_replacement_is_seen_at_the_close_only(path):
    """Until a good end the old file is there; after it nothing but the new one."""
    sink = JsonlSink(path, mode="replace")
    assert sink.commits_at_close

    await sink.open()
    await sink.write_batch([1, 2])
    await sink.flush()
    assert path.read_text() == "old\n"
    await sink.close()

    assert path.read_text() == "1\n2\n"
    assert names_beside(path) == ["out.jsonl"]


@pytest.mark.parametrize("sink_type", [JsonlSink, CsvSink])
async def test_a_failed_run_leaves_the_old_file(path, sink_type):
    """After abort() the old file stands, and nothing lies beside it."""
    sink = sink_type(path, mode="replace")
    await sink.open()
    await sink.write_batch([{"a": 1}])

    await sink.abort()

    assert path.read_text() == "old\n"
    assert names_beside(path) == ["out.jsonl"]


async def test_a_run_without_records_leaves_an_empty_file(path):
    """The file holds what the last run wrote, be it nothing."""
    sink = JsonlSink(path, mode="replace")
    await sink.open()
    await sink.close()

    assert path.read_text() == ""


async def test_what_was_appended_stays_after_an_abort(path):
    """An appending sink has nothing to take back."""
    sink = JsonlSink(path)
    assert not sink.commits_at_close
    await sink.open()
    await sink.write_batch([1])

    await sink.abort()

    assert path.read_text() == "old\n1\n"


async def test_a_write_that_fails_leaves_nothing(path, full_disk):
    """A disk that is full in the middle of a batch leaves no torn record, and the error names file and reason."""
    sink = JsonlSink(path)
    await sink.open()

    with pytest.raises(RunError, match=r"cannot write '.*out\.jsonl': No space left"):
        await sink.write_batch([{"a": 1}])
    await sink.abort()

    assert path.read_text() == "old\n"


async def test_what_another_process_wrote_is_not_cut_off(path, full_disk, monkeypatch):
    """A write that fails takes back nothing when the file grew by more than it wrote."""
    file = OutputFile(path, "append")
    real = os.write

    def write(descriptor, data):
        if data == b"def":
            with path.open("a") as other:
                other.write("theirs\n")
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(RunError):
        file.write(b"abcdef")
    file.discard()

    assert path.read_text() == "old\nabctheirs\n"


async def test_a_replacement_that_cannot_be_put_in_place_is_taken_away(path, monkeypatch):
    """When the last step fails the old file stands, and the error is raised."""
    sink = JsonlSink(path, mode="replace")
    await sink.open()
    await sink.write_batch([1])

    def refuse(*_):
        raise PermissionError(errno.EACCES, "denied")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(RunError, match="cannot replace"):
        await sink.close()

    assert path.read_text() == "old\n"
    assert names_beside(path) == ["out.jsonl"]


async def test_what_a_killed_worker_left_is_removed(path):
    """A leftover is removed, a replacement that is being written stays, and so does everything else."""
    leftover = path.with_name(".out.jsonl.0123456789ab.part")
    leftover.write_text("half")
    other = path.with_name(".out.jsonl.notes.part")
    other.write_text("mine")
    first, second = JsonlSink(path, mode="replace"), JsonlSink(path, mode="replace")

    await first.open()
    await first.write_batch([1])
    await second.open()
    await second.close()
    await first.close()

    assert not leftover.exists()
    assert other.exists()
    assert path.read_text() == "1\n"


async def test_links_and_permissions_stay(path):
    """A symbolic link still points where it did, and the file keeps its mode."""
    path.chmod(0o640)
    link = path.with_name("link.jsonl")
    link.symlink_to(path)
    sink = JsonlSink(link, mode="replace")

    await sink.open()
    await sink.write_batch([1])
    await sink.close()

    assert link.is_symlink()
    assert path.read_text() == "1\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize("mode", ["append", "replace"])
async def test_a_sink_cancelled_while_it_opens_lets_go(path, mode):
    """Nothing stays open or lies around when open() is cancelled half-way."""
    sink = JsonlSink(path, mode=mode)
    opening = asyncio.create_task(sink.open())
    await asyncio.sleep(0)

    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await sink.open()
    await sink.write_batch([1])
    await sink.close()

    assert names_beside(path) == ["out.jsonl"]
    assert path.read_text().endswith("1\n")


async def test_a_path_below_a_file_is_an_error_in_words(path):
    """A directory that cannot be made is named."""
    with pytest.raises(RunError, match="cannot write"):
        await JsonlSink(path / "below.jsonl").open()
    with pytest.raises(RunError, match="not a regular file"):
        await JsonlSink("/dev/null").open()


async def test_large_batches_are_in_the_file_by_the_flush(path):
    """Batches are kept until there is enough of them or a flush; a small one is written at once, after the others."""
    sink = JsonlSink(path)
    await sink.open()

    await sink.write_batch([1] * 100)
    assert path.read_text() == "old\n"
    await sink.write_batch([2])
    assert path.read_text() == "old\n" + "1\n" * 100 + "2\n"
    await sink.write_batch([3] * 100)
    await sink.flush()
    assert path.read_text().endswith("2\n" + "3\n" * 100)
    await sink.write_batch(["x" * 6_000] * 100)
    assert path.stat().st_size > 600_000
    await sink.close()


@pytest.mark.parametrize("ending", ["close", "abort"])
async def test_what_is_kept_is_appended_at_the_end_of_a_run(path, ending):
    """However the run ended, an appending sink wrote what it had taken."""
    sink = JsonlSink(path)
    await sink.open()
    await sink.write_batch([1] * 100)

    await getattr(sink, ending)()

    assert path.read_text() == "old\n" + "1\n" * 100


async def test_what_is_kept_outlives_a_write_that_fails(path, full_disk, monkeypatch):
    """Records that were taken go to the file when it has room again; those that were refused do not."""
    sink = JsonlSink(path)
    await sink.open()
    await sink.write_batch([1] * 100)
    with pytest.raises(RunError, match="No space left"):
        await sink.write_batch([2])
    with pytest.raises(RunError, match="No space left"):
        await sink.flush()
    assert path.read_text() == "old\n"

    monkeypatch.undo()
    await sink.flush()
    await sink.close()

    assert path.read_text() == "old\n" + "1\n" * 100


async def test_a_replacement_that_was_aborted_keeps_nothing(path):
    """What a failed run kept is not in the file of the next one."""
    sink = JsonlSink(path, mode="replace")
    await sink.open()
    await sink.write_batch([1] * 100)
    await sink.abort()

    await sink.open()
    await sink.close()

    assert path.read_text() == ""
