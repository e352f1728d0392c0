"""Finds the function that `--transform` names."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from agora_core.cli.worker_modules import load_module
from agora_core.flow.transform import Transform
from agora_core.spec.errors import ConfigError, did_you_mean


def transform_of(place: str) -> Transform:
    """Return the function at *place*, `pkg.mod:fn` or `path/to/file.py:fn`, or raise `ConfigError`."""
    name, colon, attribute = place.rpartition(":")
    if not colon or not name or not attribute:
        raise ConfigError(f"--transform {place!r} must be pkg.mod:fn or file.py:fn")
    module = _loaded(name) or load_module(name, what="--transform")
    found: Any = module
    where = name
    for word in attribute.split("."):
        inside, found = found, getattr(found, word, None)
        if found is None:
            names = getattr(inside, "__dict__", {})
            known = sorted(key for key, value in names.items() if _is_function(key, value, module))
            listed = ", ".join(known) or "none"
            raise ConfigError(f"{where} has no function {word!r}; it has {listed}{did_you_mean(word, known)}")
        where = f"{word} of {where}"
    return Transform.of(found, place)


def _is_function(name: str, value: object, module: ModuleType) -> bool:
    """Return whether *value* is written in *module*, for others to call: what it imports is no repair."""
    return not name.startswith("_") and callable(value) and getattr(value, "__module__", None) == module.__name__


def _loaded(name: str) -> ModuleType | None:
    """Return the module of a file that was loaded already: a second one would have other classes."""
    if not name.endswith(".py"):
        return None
    path = Path(name).resolve()
    files = [(module, getattr(module, "__file__", None)) for module in list(sys.modules.values())]
    return next((module for module, file in files if file and Path(file).resolve() == path), None)
