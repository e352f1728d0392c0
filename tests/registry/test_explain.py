"""Exceptions of other people's code in one line."""

from pathlib import Path

from agora_core.registry.explain import place, shown, told


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError


def test_an_exception_is_told_in_one_bounded_line():
    """Line breaks go, secrets go, and what is endless ends."""
    assert told(ValueError("a\n  b")) == "ValueError: a b"
    assert told(ValueError()) == "ValueError"
    assert told(ValueError("password=hunter2")) == "ValueError: password=***"
    assert len(told(ValueError("x" * 10_000))) < 400
    assert told(UnspeakableError()) == "UnspeakableError"


def test_an_exception_without_a_frame_in_the_package_has_no_place():
    """Nothing is guessed."""
    assert place(ValueError(), "somewhere") == ""


def test_paths_are_shown_from_here(tmp_path, monkeypatch):
    """Inside the current directory they are relative, elsewhere whole."""
    monkeypatch.chdir(tmp_path)

    assert shown(tmp_path / "a" / "b.py") == "a/b.py"
    assert shown(Path("/elsewhere/b.py")) == "/elsewhere/b.py"
