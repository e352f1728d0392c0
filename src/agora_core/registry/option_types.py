"""Whether a value that came from a file fits an annotation; in doubt it does, and the builder judges."""

from collections.abc import Callable, Mapping, Sequence
from inspect import isclass
from os import PathLike
from types import NoneType, UnionType
from typing import Literal, Union, get_args, get_origin

_PLAIN = (bool, int, float, str, list, dict)
"""The types that TOML has words for; a value of another type was made by code, which may know better."""

_LIKES: dict[type, tuple[type, ...]] = {
    str: (str, PathLike),
    dict: (dict, Mapping),
    list: (list, tuple, set, frozenset, Sequence),
}
"""Annotations that a string, a table or an array of a file will do for; tried in this order."""

_WORDS: dict[object, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "a table",
    Callable: 'a function, such as { import = "module:function" }',
    type: 'a class, such as { import = "module:Class" }',
}


def fits(value: object, annotation: object) -> bool:
    """Whether *value* may be given where *annotation* stands."""
    if not isinstance(value, _PLAIN):
        return True
    members = [_simple(member) for member in _members(annotation)]
    return any(_fits_one(value, member) for member in members)


def read_as(text: str, annotation: object) -> object:
    """Return *text*, which came from the environment, as the number or yes-or-no that *annotation* wants.

    It stays text where text will do, or where it is no such thing.
    """
    members = [_simple(member) for member in _members(annotation)]
    if not all(member in (bool, int, float, NoneType) for member in members):
        return text
    if bool in members and text in ("true", "false"):
        return text == "true"
    for number in (int, float):
        if number in members:
            try:
                return number(text)
            except ValueError:
                continue
    return text


def wanted(annotation: object) -> str:
    """Return in words what *annotation* asks for."""
    words = []
    for member in (_simple(member) for member in _members(annotation)):
        if get_origin(member) is Literal:
            words += [repr(choice) for choice in get_args(member)]
        elif member is not NoneType:
            words.append(_WORDS.get(member, getattr(member, "__name__", str(member))))
    words = list(dict.fromkeys(words))
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def _members(annotation: object) -> list[object]:
    if get_origin(annotation) in (Union, UnionType):
        return [inner for member in get_args(annotation) for inner in _members(member)]
    return [annotation]


def _simple(annotation: object) -> object:
    """Return the plain type that stands for *annotation*, or itself where there is none."""
    origin = get_origin(annotation) or annotation
    if origin is Literal or not isclass(origin):
        return annotation
    for plain, likes in _LIKES.items():
        if issubclass(origin, likes):
            return plain
    return origin


def _fits_one(value: object, member: object) -> bool:
    if get_origin(member) is Literal:
        return value in get_args(member)
    if member is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if member is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if member in (bool, str, list, dict):
        return isinstance(value, member)
    if member is NoneType:
        return False
    # A function or a class cannot be written in a file, only imported; any other annotation is the builder's to judge.
    return member not in (Callable, type)
