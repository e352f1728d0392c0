"""The face's one trick (PEP 562): a name is imported from its room when it is first asked for."""

from collections.abc import Callable, Mapping
from importlib import import_module


def late_names(face: str, places: Mapping[str, str]) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` for the module *face*, whose names live in the modules of *places*."""

    def find(name: str) -> object:
        if name not in places:
            raise AttributeError(f"module {face!r} has no attribute {name!r}")
        return getattr(import_module(places[name]), name)

    def names() -> list[str]:
        return sorted(places)

    return find, names
