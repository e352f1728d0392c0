"""I8: what is said about a failure never keeps its letter from being kept: bounded, printable, whatever users raise."""

import asyncio
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agora_core.builtin.memory_dlq import MemoryDlq
from agora_core.builtin.sqlite_dlq import SqliteDlq
from agora_core.flow.delivery_config import DeliveryConfig
from agora_core.flow.pipeline import Pipeline
from agora_core.flow.replay import replay
from agora_core.spec.errors import ConfigError
from agora_core.spec.letters import Failure
from agora_core.testing.dlq_samples import EVERYTHING, letter

MESSAGE_BYTES = 8 * 1024
TRACEBACK_BYTES = 16 * 1024

ODD = ["\ud800", "\udfff\ud800", "\0", "\x1b[2J", "\u202e", "\ufeff", "🜁", "a" * 9000, "é" * 9000, "password=hunter2 "]
_texts = st.text(max_size=30) | st.lists(st.sampled_from(ODD), min_size=1, max_size=4).map("".join)


class Given:
    def __init__(self, *records):
        self._records = records

    def stream(self):
        yield from self._records


class Sink:
    def write(self, record):
        """Take it."""


class NoTextError(Exception):
    def __str__(self):
        raise RuntimeError("no text")


class NoTypeError(Exception):
    __str__ = lambda self: 7  # noqa: E731


class RudeReprError(Exception):
    def __init__(self):
        super().__init__(self)

    def __repr__(self):
        raise MemoryError("no repr")


class RudeError(Exception):
    """Raises whatever is asked of it that Python itself does not give to every exception, such as its notes."""

    def __getattr__(self, name):
        raise ValueError(f"no {name}")

    def __str__(self):
        return self.text


def noted(text):
    error = ValueError("noted")
    error.add_note(text)
    error.__notes__.append(7)
    return error


def caused(text):
    error = ValueError(text)
    error.__cause__ = KeyError(text)
    error.__cause__.__cause__ = error
    return error


def grouped(text):
    return ExceptionGroup(text, [ExceptionGroup(text, [ValueError(text)] * 50)] * 50)


def named(text):
    return type(text.replace("\0", "?").encode("utf-8", "replace").decode() or "E", (Exception,), {})(text)


def syntax(text):
    return SyntaxError(text, (text, 10**9, -5, text * 2, 0, 0))


def unicode_error(text):
    return UnicodeDecodeError("utf-8", text.encode("utf-8", "backslashreplace") or b"x", 0, 1, text)


MAKERS = [ValueError, noted, caused, grouped, named, syntax, unicode_error, *(
    lambda _, kind=kind: kind() for kind in (NoTextError, NoTypeError, RudeReprError, RudeError)
)]  # fmt: skip


def is_bounded(failure):
    """Whether *failure* can be stored, sent and shown."""
    sizes = (failure.type, 256), (failure.message, MESSAGE_BYTES), (failure.traceback, TRACEBACK_BYTES)
    return all(len(text.encode()) <= most and "\0" not in text for text, most in sizes)


async def outcome(store, make, text, where):
    """Let a record die of what *make* makes, in a run and once more in a replay; return its letter."""

    def fail(record):
        raise make(text)

    sink = Sink()
    pipeline = Pipeline(Given("before", "a", "after"), "odd")
    if where == "middleware":
        pipeline = pipeline.map(lambda record: fail(record) if record == "a" else record, name="odd")
    else:
        sink.write = lambda record: fail(record) if record == "a" else None
    built = pipeline.build(sink, config=DeliveryConfig(dlq=store))
    summary = await built.run()
    replayed = await replay(built, store)
    await store.open()
    (one,) = await store.find(EVERYTHING)
    await store.close()
    assert (summary.written, summary.dead, replayed.failed) == (2, 1, 1)
    return one


@given(make=st.sampled_from(MAKERS), text=_texts, where=st.sampled_from(["middleware", "sink"]))
@settings(deadline=None, max_examples=120)
def test_whatever_is_raised_the_letter_is_kept(make, text, where):
    """Messages, notes, causes, groups, names and texts that cannot be had: the letter is there, in a real file too."""
    with TemporaryDirectory() as folder:
        letter = asyncio.run(outcome(SqliteDlq(Path(folder) / "letters.db"), make, text, where))

    assert is_bounded(letter.error)
    assert is_bounded(letter.last_error)
    assert "hunter2" not in f"{letter.error}{letter.error.traceback}"
    assert letter.record == "a"


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: getattr(make, "__name__", "odd"))
@pytest.mark.parametrize(
    "text", ["x" * (1 << 20), "\ud800" * (1 << 20), "é\0" * (1 << 19)], ids=["a", "surrogate", "nul"]
)
async def test_a_mebibyte_is_cut(make, text):
    """However long a message is, its letter is kept, within the bounds and cut where it can be cut."""
    if make is grouped:
        text = text[: 1 << 12]  # of 2,500 leaves
    letter = await outcome(MemoryDlq(), make, text, "middleware")

    assert is_bounded(letter.error)
    assert is_bounded(letter.last_error)


@given(fields=st.lists(_texts, min_size=6, max_size=6))
@settings(deadline=None, max_examples=60)
def test_a_store_takes_names_as_they_come(fields):
    """Names that no pipeline could have, from another store or version: kept, and printable when they come back."""
    uid, run_id, stage, sink, note, version = fields

    async def main(path):
        store = SqliteDlq(path)
        await store.open()
        failure = Failure(type=stage, message=note, traceback=run_id)
        await store.put([_odd_letter(uid, run_id, stage, sink, note, version, failure)])
        (one,) = await store.find(EVERYTHING)
        await store.close()
        return one

    with TemporaryDirectory() as folder:
        one = asyncio.run(main(Path(folder) / "letters.db"))

    for text in (one.uid, one.run_id, one.stage, one.sink, one.note, one.error.type, one.error.message):
        text.encode()
    assert not one.damage


def _odd_letter(uid, run_id, stage, sink, note, version, failure):
    return replace(
        letter("a"), uid=uid, run_id=run_id, stage=stage, sink=sink, note=note, agora_version=version, error=failure
    )


@pytest.mark.parametrize("name", ["\ud800", "a\nb", "\x1b[2J", "x" * 129])
def test_names_of_parts_that_no_log_can_show_are_refused_at_once(name):
    """Not when the first record dies of them."""
    with pytest.raises(ConfigError, match="the name of a part must be printable and at most 128 characters long"):
        Pipeline(Given()).map(str, name=name)
