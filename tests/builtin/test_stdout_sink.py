"""Standard output: lines of JSON, and a quiet end when nobody reads them."""

import io
import subprocess
import sys

import pytest

from agora_core.builtin.null_sink import NullSink
from agora_core.builtin.stdout_sink import StdoutSink
from agora_core.spec.errors import PartialWriteError, RunError

PROGRAM = """
import asyncio, sys
from agora_core.builtin.stdout_sink import StdoutSink
from agora_core.spec.errors import RunError

async def main():
    sink = StdoutSink()
    try:
        for number in range(10_000):
            await sink.write_batch([{"number": number, "text": "x" * 1000}] * 10)
    except RunError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        sink.close()
    return 0

sys.exit(asyncio.run(main()))
"""


async def test_records_are_lines_of_json(capfdbinary):
    """Each record is a line, after what was printed before; one without JSON fails alone."""
    sink = StdoutSink()
    print("before")

    await sink.write_batch([{"a": "é"}])
    with pytest.raises(PartialWriteError):
        await sink.write_batch([1, object(), 2])
    sink.close()

    assert capfdbinary.readouterr().out == 'before\n{"a":"é"}\n1\n2\n'.encode()
    assert repr(sink) == "StdoutSink()"


async def test_a_program_may_have_its_own_standard_output(monkeypatch):
    """Text streams do; none at all, or one that is closed, is an error in words."""
    sink = StdoutSink()
    text = io.StringIO()
    monkeypatch.setattr(sys, "stdout", text)
    await sink.write_batch([1])
    assert text.getvalue() == "1\n"

    text.close()
    with pytest.raises(RunError, match="cannot write to standard output"):
        await sink.write_batch([1])
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(RunError, match="no standard output"):
        await sink.write_batch([1])
    sink.close()


def test_a_reader_that_goes_away_ends_it_without_a_traceback():
    """`| head -1` gets its line; the program ends with one sentence."""
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline().startswith(b'{"number":0')
        process.stdout.close()
        told = process.stderr.read().decode()

    assert told == "standard output was closed by its reader; what was not read is not written\n"
    assert process.returncode == 1


def test_the_null_sink_counts():
    """It says how many records came."""
    sink = NullSink()

    sink.write_batch([1, 2])
    sink.write_batch([])

    assert repr(sink) == "NullSink(count=2)"
