"""Where a pipeline's factory is, as a value by which another process finds the same one."""

import sys
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

from msgspec import Struct

from agora_core.registry.config import Config, load_config
from agora_core.registry.explain import told_with_place
from agora_core.registry.plugins import installed
from agora_core.runner.factories import Factory, described
from agora_core.runner.from_config import ConfigFactory
from agora_core.spec.errors import ConfigError, RunError

Plain: TypeAlias = str | int | float | bool | None

_MAIN = "__mp_main__"
"""What the standard library calls, in other processes, the file that was run as a script."""

_NEEDS = 'isolation="process" needs an async function at the top of a module'


class NamedPlace(Struct, frozen=True, tag="named", kw_only=True):
    """A factory that has a name in a module, and the plain arguments that `functools.partial` adds to it."""

    module: str
    file: str | None
    name: str
    args: tuple[Plain, ...] = ()
    kwargs: Mapping[str, Plain] = {}


class ConfigPlace(Struct, frozen=True, tag="config", kw_only=True):
    """A pipeline of a config, as its file was when the worker read it."""

    path: str
    text: str
    pipeline_id: str


Place: TypeAlias = NamedPlace | ConfigPlace


def place_of(factory: Factory) -> Place:
    """Return where *factory* is; raise `ConfigError` when another process could not find it."""
    if isinstance(factory, ConfigFactory):
        return ConfigPlace(path=str(factory.path), text=factory.text, pipeline_id=factory.id)
    inner, args, kwargs = _taken_apart(factory)
    name, module = getattr(inner, "__qualname__", None), sys.modules.get(getattr(inner, "__module__", None) or "")
    if not isinstance(name, str) or module is None:
        raise _unnamed(factory, "it is an object without a name of its own")
    if "<" in name:
        kind = "a lambda" if name.endswith("<lambda>") else "a function inside another one"
        raise _unnamed(factory, f"it is {kind}")
    try:
        found = _attribute(module, name)
    except AttributeError:
        found = None
    if found is not inner and found != inner:
        raise _unnamed(factory, f"{module.__name__}.{name} is something else")
    strange = next((one for one in (*args, *kwargs.values()) if not _is_plain(one)), None)
    if strange is not None:
        raise _unnamed(factory, f"its argument {type(strange).__qualname__} is not a text, a number, a bool or None")
    module_name, file = _module_place(factory, module)
    return NamedPlace(module=module_name, file=file, name=name, args=args, kwargs=kwargs)


class Finder:
    """Finds factories in this process; each config is read once, so that its pipelines share their stores.

    So is the worker's script. It is kept here, since the name that the standard library gives it may be another's:
    whoever imports `multiprocessing`, which measurers do at start, makes it that of `__main__`.
    """

    def __init__(self) -> None:
        self._configs: dict[tuple[str, str], Config] = {}
        self._script: ModuleType | None = None

    def factory(self, place: Place) -> Factory:
        """Return the factory at *place*; raise `RunError` when its module cannot be imported here, or now."""
        if isinstance(place, ConfigPlace):
            return self._of_config(place)
        try:
            found: Factory = _attribute(self._module(place), place.name)
        except (Exception, SystemExit) as error:
            where = place.file or place.module
            hint = '; what is only for a script belongs under `if __name__ == "__main__":`' * (place.module == _MAIN)
            raise RunError(f"{where} cannot be imported in another process: {_told(error, place)}{hint}") from error
        return partial(found, *place.args, **place.kwargs) if place.args or place.kwargs else found

    def _module(self, place: NamedPlace) -> ModuleType:
        if place.module != _MAIN or place.file is None:
            return _module(place)
        if self._script is None:
            self._script = _from_file(place.module, place.file)
        return self._script

    def _of_config(self, place: ConfigPlace) -> Factory:
        key = (place.path, place.text)
        if key not in self._configs:
            self._configs[key] = load_config(Path(place.path), installed(), text=place.text)
        config = self._configs[key]
        return ConfigFactory(config.pipelines[place.pipeline_id], config)


def _taken_apart(factory: Factory) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}
    inner: Any = factory
    while isinstance(inner, partial):
        args, kwargs = (*inner.args, *args), {**inner.keywords, **kwargs}
        inner = inner.func
    return inner, args, kwargs


def _is_plain(value: object) -> bool:
    return value is None or type(value) in (str, float, bool) or (type(value) is int and abs(value) < 2**63)


def _attribute(module: ModuleType, name: str) -> Any:
    found: Any = module
    for word in name.split("."):
        found = getattr(found, word)
    return found


def _module_place(factory: Callable[..., object], module: ModuleType) -> tuple[str, str | None]:
    file = getattr(module, "__file__", None)
    if module.__name__ != "__main__":
        return module.__name__, file
    spec = getattr(module, "__spec__", None)
    if spec is not None:  # python -m
        return spec.name, file
    if file is None or not Path(file).is_file():
        raise _unnamed(factory, "it was typed in, and is in no file")
    return _MAIN, str(Path(file).resolve())


def _unnamed(factory: Callable[..., object], why: str) -> ConfigError:
    return ConfigError(f"{described(factory)} cannot be found by another process: {why}; {_NEEDS}")  # type: ignore[arg-type]  # it is a factory, whatever it returns


def _module(place: NamedPlace) -> ModuleType:
    known = sys.modules.get(place.module)
    if known is not None:
        return known
    if place.file is None or _is_found_by_name(place.module, place.file):
        return import_module(place.module)
    return _from_file(place.module, place.file)


def _is_found_by_name(name: str, file: str) -> bool:
    """Return whether importing *name* gives *file*: a worker's file may be known by a name that is another's here."""
    try:
        spec = find_spec(name)
        return spec is not None and spec.origin is not None and Path(spec.origin).samefile(file)
    except (ImportError, ValueError, OSError):
        return False


def _from_file(name: str, file: str) -> ModuleType:
    spec = spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no Python file")
    module, main = module_from_spec(spec), sys.modules["__main__"]
    sys.modules[name] = module
    if name == _MAIN:
        sys.modules["__main__"] = module  # before it runs: `multiprocessing`, if it imports that, takes it from there
        module.__spec__ = None  # no script has one; processes that the user's code starts find it by its file instead
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]  # half of a module must not be found by the next run
        sys.modules["__main__"] = main
        raise
    return module


def _told(error: BaseException, place: NamedPlace) -> str:
    return told_with_place(error, place.module)
