"""A package that only names things (PEP 562): each is imported from its room when it is first asked for."""

from collections.abc import Callable, Mapping
from importlib import import_module


def late_names(face: str, places: Mapping[str, str]) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` for the module *face*.

    *places* says in which module each name lives, `module:attribute` where it has another name there.
    """

    def find(name: str) -> object:
        if name not in places:
            raise AttributeError(f"module {face!r} has no attribute {name!r}")
        module, _, attribute = places[name].partition(":")
        return getattr(import_module(module), attribute or name)

    def names() -> list[str]:
        return sorted(places)

    return find, names
