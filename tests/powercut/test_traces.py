"""The shim sees all that a process does to a folder, and a trace that is not whole is not believed."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from .disks import UnsoundTraceError
from .traces import Kind, operations
from .tracing import Place

PROGRAM = """
import ctypes, os, sys

def at(name):
    return os.path.join(sys.argv[1], name)

os.mkdir(at("folder"))
one = os.open(at("folder/one"), os.O_CREAT | os.O_RDWR, 0o600)
os.write(one, b"hello ")
os.write(one, b"world")
os.pwrite(one, b"H", 0)
os.writev(one, [b"", b"!", b"?"])
os.pwritev(one, [b"W", b"O"], 6)
os.fsync(one)
os.posix_fallocate(one, 0, 100)
os.ftruncate(one, 50)
os.fdatasync(one)
os.close(one)
ctypes.CDLL(None).powercut_note(b"so far", ctypes.c_size_t(6))
os.link(at("folder/one"), at("folder/two"))
os.rename(at("folder/one"), at("folder/three"))
os.unlink(at("folder/two"))
os.chdir(at("folder"))
with open("four", "w") as four:
    four.write("text")
with open("four", "a") as four:
    four.write(" and more")
here = os.open(".", os.O_RDONLY)
os.replace("four", "five", src_dir_fd=here, dst_dir_fd=here)
os.close(here)
parent = os.open(sys.argv[1], os.O_RDONLY)
os.fsync(parent)
os.close(parent)
open("/dev/null", "w").close()
"""


def run(place: Place, program: str, **more: str) -> int:
    """Run *program* on the traced folder; return its exit code."""
    environment = {
        **os.environ,
        "LD_PRELOAD": str(place.shim),
        "POWERCUT_ROOT": str(place.root),
        "POWERCUT_TRACE": str(place.trace),
        **more,
    }
    return subprocess.run([sys.executable, "-c", program, place.root], env=environment, check=False).returncode


def test_all_is_seen_in_order(place):
    """Files, folders, names, lengths and syncs; absolute paths and relative ones."""
    place.begin()

    assert run(place, PROGRAM) == 0

    done = place.operations()
    seen = "".join(operation.kind.value.decode() for operation in done)
    assert seen == "dowwwwwwwsatscnlruowcowcorcosc"
    assert done[1].paths[0] == "folder/one"
    assert (place.root / "folder" / "three").read_bytes() == b"Hello WOrld!?".ljust(50, b"\0")
    assert (place.root / "folder" / "five").read_text() == "text and more"


def test_a_program_that_was_not_seen_is_no_proof(place):
    """A trace without writes, syncs and notes is refused as vacuous."""
    place.begin()
    place.trace.touch()

    with pytest.raises(UnsoundTraceError, match="the shim saw nothing"):
        place.operations()


def test_a_change_behind_the_shims_back_is_noticed(place):
    """What is in the folder at the end must be what the trace says."""
    place.begin()
    run(place, PROGRAM)
    (place.root / "folder" / "three").write_bytes(b"other")

    with pytest.raises(UnsoundTraceError, match=r"how \['folder/three'\] came to be"):
        place.operations()


def test_a_process_is_killed_after_so_many_operations(place):
    """The trace ends with the last operation that was done."""
    place.begin()

    code = run(place, PROGRAM, POWERCUT_KILL_AFTER="4")

    assert code < 0
    assert [operation.kind for operation in operations(place.trace)] == [
        Kind.MAKE_FOLDER, Kind.OPEN, Kind.WRITE, Kind.WRITE,
    ]  # fmt: skip
    assert (place.root / "folder" / "one").read_bytes() == b"hello world"


def test_a_trace_that_ends_too_early_is_refused(place):
    """Half a record is an error, wherever it is cut."""
    place.begin()
    run(place, PROGRAM)
    whole = place.trace.read_bytes()
    short = replace(place, folder=place.folder / "short")
    short.folder.mkdir()

    for cut in (1, 30, len(whole) - 1):
        short.trace.write_bytes(whole[:cut])
        with pytest.raises(ValueError, match="ends in the middle"):
            list(operations(short.trace))
