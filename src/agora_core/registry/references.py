"""Values that a config only names: `{ import = "module:attr" }`, `{ env = "NAME" }`, `{ file = "path" }`."""

import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType

from agora_core.registry.explain import told_with_place
from agora_core.spec.errors import ConfigError, did_you_mean

LARGEST_FILE = 1024 * 1024
WORDS = ("import", "env", "file")


class Secret(str):
    """A text that came from outside the config; it is used like any, and its repr shows `***`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


def is_reference(value: object) -> bool:
    """Whether *value* is a table of one key, which is one of the three words."""
    return isinstance(value, Mapping) and len(value) == 1 and next(iter(value)) in WORDS


def resolved(reference: Mapping[str, object]) -> object:
    """Return what *reference* names, or raise a `ConfigError` that says why it cannot be had."""
    ((word, target),) = reference.items()
    if not isinstance(target, str) or not target:
        raise ConfigError(f"{word} must be text, not {target!r}")
    if word == "import":
        return imported(target)
    return _from_environment(target) if word == "env" else _from_file(Path(target))


def imported(target: str) -> object:
    """Return the object at *target*, which is `module:attribute`."""
    name, _, attribute = target.partition(":")
    if not attribute or not all(part.isidentifier() for part in [*name.split("."), *attribute.split(".")]):
        raise ConfigError(f'import must be "module:attribute", not {target!r}')
    found: object = _module(name)
    for part in attribute.split("."):
        found = _attribute(found, part, target)
    return found


def _module(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise ConfigError(f"there is no module {error.name!r} to import {name!r} from") from None
        raise ConfigError(f"module {name!r} cannot be imported: {told_with_place(error, name)}") from error
    except (Exception, SystemExit) as error:  # the user's module: whatever it raises is told with its place
        raise ConfigError(f"module {name!r} cannot be imported: {told_with_place(error, name)}") from error


def _attribute(owner: object, name: str, target: str) -> object:
    try:
        return getattr(owner, name)
    except AttributeError:
        known = [word for word in dir(owner) if not word.startswith("_")]
        raise ConfigError(f"{target!r}: there is no {name!r} in it{did_you_mean(name, known)}") from None


def _from_environment(name: str) -> Secret:
    try:
        return Secret(os.environ[name])
    except (KeyError, ValueError):
        raise ConfigError(f"the environment variable {name!r} is not set") from None


def _from_file(path: Path) -> Secret:
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_FILE + 1)
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigError(f"the file {str(path)!r} is not UTF-8 text") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"the file {str(path)!r} cannot be read: {reason}") from None
    if len(raw) > LARGEST_FILE:
        raise ConfigError(f"the file {str(path)!r} is larger than 1 MiB")
    return Secret(text.removesuffix("\n").removesuffix("\r"))
