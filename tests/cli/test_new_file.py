"""A file that is there whole, and on disk, or not at all."""

import os
import stat

import pytest

from agora_core.cli.endings import RefusedError
from agora_core.cli.new_file import NewFile
from agora_core.spec.errors import ConfigError


def write(path, *parts, force=False):
    with NewFile(path, force=force) as new:
        for part in parts:
            new.write(part)


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def test_it_is_there_when_all_of_it_is(tmp_path):
    """Nothing has its name before the end, and nothing stays beside it."""
    path = tmp_path / "out"
    with NewFile(path, force=False) as new:
        new.write(b"one ")
        assert not path.exists()
        new.write(b"two")

    assert path.read_bytes() == b"one two"
    assert names(tmp_path) == ["out"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_whatever_goes_wrong_there_is_none(tmp_path, error):
    """Nor a half of one; what was there before stays."""
    (tmp_path / "out").write_text("old")

    def half():
        with NewFile(tmp_path / "out", force=True) as new:
            new.write(b"half")
            raise error

    with pytest.raises(error):
        half()

    assert names(tmp_path) == ["out"]
    assert (tmp_path / "out").read_text() == "old"


def test_one_that_came_meanwhile_is_kept(tmp_path):
    """It is looked for at the end too."""

    def slowly():
        with NewFile(tmp_path / "out", force=False) as new:
            new.write(b"mine")
            (tmp_path / "out").write_text("theirs")

    with pytest.raises(ConfigError, match="is there already; --force replaces it"):
        slowly()

    assert (tmp_path / "out").read_text() == "theirs"
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("kind", ["link", "link to nothing", "directory", "pipe"])
@pytest.mark.parametrize("force", [False, True])
def test_what_is_no_plain_file_is_refused(tmp_path, kind, force):
    """With --force too: it is not what anybody meant to replace."""
    path, target = tmp_path / "out", tmp_path / "target"
    if kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(target)
    if kind == "link":
        target.write_text("precious")

    with pytest.raises(ConfigError, match="is no plain file; write - for standard output"):
        write(path, b"x", force=force)

    assert not target.exists() or target.read_text() == "precious"


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    """Before anything is read from a store."""
    with pytest.raises(ConfigError, match=r"cannot write .*: No such file or directory"):
        write(tmp_path / "none" / "out", b"x")


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    """And is no refusal: the command had begun."""

    def full(handle, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)

    with pytest.raises(RefusedError, match="No space left on device; nothing is there") as raised:
        write(tmp_path / "out", b"x")

    assert raised.value.code == 1
    assert names(tmp_path) == []


def test_a_write_that_takes_a_part_goes_on(tmp_path, monkeypatch):
    """The system may take less than it is given."""
    whole = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: whole(handle, data[:3]))

    write(tmp_path / "out", b"0123456789", b"ab")

    assert (tmp_path / "out").read_bytes() == b"0123456789ab"


def test_it_is_on_disk_before_it_has_its_name(tmp_path, monkeypatch):
    """Else a power cut could leave an empty file of that name; then the name itself is synced."""
    told = []
    sync, rename = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (told.append("sync"), sync(handle))[1])
    monkeypatch.setattr(os, "replace", lambda *places: (told.append("name"), rename(*places))[1])

    write(tmp_path / "out", b"x")

    assert told == ["sync", "name", "sync"]
