"""Calls the `get_worker()` of a worker module and makes sure that it returned a pool."""

import re
from collections.abc import Callable
from inspect import Parameter, iscoroutine, signature
from pathlib import Path
from types import ModuleType
from typing import Any

from agora_core.cli.user_code import users_code
from agora_core.cli.worker_modules import load_module
from agora_core.registry.explain import shown
from agora_core.runner.pool import WorkerPool
from agora_core.runner.schedule import Schedule
from agora_core.runner.scheduled import ScheduledPipeline
from agora_core.spec.errors import ConfigError, did_you_mean
from agora_core.spec.offers import late

_run: Callable[..., object] = late("agora_core.cli.event_loop:run")


def pool_from_module(name: str | None) -> WorkerPool:
    """Return the pool of the worker module *name* (dotted, or a path to a .py file), by default of worker.py."""
    module = load_module(name)
    return _pool_of(module, _called(_get_worker(module), module))


def factory_from_module(place: str) -> ScheduledPipeline:
    """Return the one pipeline whose factory is at *place*, `module:factory`."""
    name, _, attribute = place.partition(":")
    module = load_module(name or None)
    factory: Any = module
    for word in attribute.split("."):
        if not hasattr(factory, word):
            known = sorted(key for key in vars(module) if not key.startswith("_"))
            listed = ", ".join(known) or "nothing"
            raise ConfigError(f"{_name(module)} has no {attribute!r}; it has {listed}{did_you_mean(attribute, known)}")
        factory = getattr(factory, word)
    shown_as = re.sub(r"[^A-Za-z0-9_.-]", "_", attribute)[:128]
    return ScheduledPipeline(factory=factory, schedule=Schedule.once(), pipeline_id=shown_as)


def _get_worker(module: ModuleType) -> Callable[[], object]:
    found = getattr(module, "get_worker", None)
    if found is None:
        raise ConfigError(f"{_name(module)} has no get_worker(); {_instead(module)}")
    if not callable(found):
        raise ConfigError(f"get_worker in {_name(module)} is a {type(found).__name__}, not a function")
    needed = [param.name for param in signature(found).parameters.values() if _is_needed(param)]
    if needed:
        raise ConfigError(f"get_worker() in {_name(module)} must take no argument, and asks for {', '.join(needed)}")
    return found  # type: ignore[no-any-return]  # getattr is untyped


def _is_needed(parameter: Parameter) -> bool:
    variadic = parameter.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
    return parameter.default is parameter.empty and not variadic


def _instead(module: ModuleType) -> str:
    """Say what the module has, and what would make it a worker module."""
    own = {key: value for key, value in vars(module).items() if not key.startswith("_")}
    pools = [key for key, value in own.items() if isinstance(value, WorkerPool)]
    if pools:
        return f"it has the WorkerPool {pools[0]!r}: write `def get_worker() -> WorkerPool: return {pools[0]}`"
    named = sorted(key for key, value in own.items() if getattr(value, "__module__", None) == module.__name__)
    listed = f"it has {', '.join(named)}" if named else "it defines nothing"
    return f"{listed}; write `def get_worker() -> WorkerPool`{did_you_mean('get_worker', named)}"


def _called(get_worker: Callable[[], object], module: ModuleType) -> object:
    with users_code(f"while get_worker() of {_name(module)} is called"):
        result = get_worker()
        return _run(coroutine=result) if iscoroutine(result) else result


def _pool_of(module: ModuleType, result: object) -> WorkerPool:
    if isinstance(result, WorkerPool):
        if not result.pipelines:
            raise ConfigError(
                f"the WorkerPool of {_name(module)} has no pipelines; register at least one with pool.register(…)"
            )
        return result
    if result is None:
        raise ConfigError(f"get_worker() in {_name(module)} returned None, not a WorkerPool; is `return pool` missing?")
    raise ConfigError(f"get_worker() in {_name(module)} returned a {type(result).__name__}, not a WorkerPool")


def _name(module: ModuleType) -> str:
    return shown(Path(module.__file__)) if module.__file__ else module.__name__
