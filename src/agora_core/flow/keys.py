"""The keys of records: what their dead letters are called, and what sinks are told that must write each once."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from inspect import Parameter, signature
from os import urandom
from types import FunctionType
from typing import Any, TypeAlias

from agora_core.spec.errors import ConfigError
from agora_core.spec.letters import DeadLetter

KeyAt: TypeAlias = Callable[[int], str]
"""Gives the key of the record at a place of a batch."""

_WORDS = {"write_batch": "keys", "write": "key"}


class RunKeys:
    """The keys of the records of one run, by their number in it; no other run has any of them."""

    def __init__(self) -> None:
        # A random one for each record would cost as much as a letter, and scatter them over a store's index.
        self._run = urandom(11).hex()

    def after(self, count: int) -> KeyAt:
        """Return the keys of a batch before which *count* records were read."""
        run = self._run
        return lambda place: f"{run}{count + place + 1:010x}"


def letter_uid(key: str, sink: str, *, is_first: bool) -> str:
    """Return the uid of a letter of the record with this *key*: the key itself, but for all of its letters but one.

    A record that several sinks refused has a letter for each. The same again after a crash, so that a store keeps it
    once.
    """
    return key if is_first else f"{key}-{sink}"


def key_of(letter: DeadLetter) -> str:
    """Return the key under which the record of *letter* was, or would have been, written when it died."""
    return letter.uid.removesuffix(f"-{letter.sink}") if letter.sink else letter.uid


def takes_keys(sink: object) -> bool:
    """Return whether *sink* asks for the keys of records: `write_batch(records, *, keys)` or `write(record, *, key)`.

    Raises `ConfigError` where it names them in a way that they cannot be given in.
    """
    for method, word in _WORDS.items():
        function = getattr(sink, method, None)
        if callable(function):  # `write_batch` is preferred, so what `write` takes does not matter beside it
            name = f"{type(sink).__name__}.{method}"
            inner = getattr(function, "__func__", None)  # a method is made anew for each sink, and its function is not
            if isinstance(inner, FunctionType):
                return _function_takes(inner, word, name)
            return _takes(function, word, name)
    return False


def with_keys(write: Callable[..., Any], *, lists: bool) -> Callable[..., Any]:
    """Return *write* as it is called with pairs of a record and its key: a list of them, or one at a time."""

    def write_lists(pairs: Sequence[tuple[Any, str]]) -> Any:
        return write([record for record, _ in pairs], keys=[key for _, key in pairs])

    def write_each(pair: tuple[Any, str]) -> Any:
        return write(pair[0], key=pair[1])

    return write_lists if lists else write_each


@lru_cache(maxsize=256)
def _function_takes(function: FunctionType, word: str, name: str) -> bool:
    return _takes(function, word, name)


def _takes(function: Callable[..., Any], word: str, name: str) -> bool:
    try:
        parameter = signature(function).parameters.get(word)
    except (TypeError, ValueError):
        return False  # written in C
    if parameter is None or parameter.kind is Parameter.KEYWORD_ONLY:
        return parameter is not None
    by_place = parameter.kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    if by_place and parameter.default is Parameter.empty:
        raise ConfigError(f"{name} takes {signature(function)}; {word} is given by its name alone: write `*, {word}`")
    return False  # with a default it means something of the sink's own
