"""Calls users' factories, and says what is wrong with one that is a programming error."""

from collections.abc import Awaitable, Callable, Hashable
from functools import lru_cache, partial
from inspect import Parameter, getsourcelines, isawaitable, iscoroutine, iscoroutinefunction, signature, unwrap
from pathlib import Path
from types import FunctionType, MethodType
from typing import Any

from agora_core.spec.errors import FactoryError

Factory = Callable[[], Awaitable[Any]]


def import_path(factory: Factory) -> str:
    """Return where *factory* is, as `module:qualified.name`."""
    inner = unwrap(_plain(factory))
    named = inner if hasattr(inner, "__qualname__") else type(inner)
    return f"{named.__module__}:{named.__qualname__}"


def described(factory: Factory) -> str:
    """Return *factory* in words, with its file and line where it has them: `factory build (worker.py:12)`."""
    inner = unwrap(_plain(factory))
    code = getattr(inner, "__code__", None)
    if code is not None:
        return f"factory {inner.__qualname__} ({_short(code.co_filename)}:{code.co_firstlineno})"
    cls = inner if isinstance(inner, type) else type(inner)
    try:
        return f"factory {cls.__qualname__} ({cls.__module__}, line {getsourcelines(cls)[1]})"
    except (OSError, TypeError):  # no source: typed in, or built in C
        return f"factory {cls.__qualname__}"


def problem_of(factory: Factory) -> str | None:
    """Return what is wrong with *factory*, as far as that shows before the first run, or None.

    One that is not seen to be async is called once, and what it gives is thrown away.
    """
    needed = _needed(factory)
    if needed:
        return f"{described(factory)} must take no argument, and asks for {', '.join(needed)}"
    if _is_async(factory):
        return None
    try:
        given: Any = factory()
    except (Exception, SystemExit):  # noqa: BLE001  # a border: it may fail for a passing reason, and the first run will tell
        return None
    if not isawaitable(given):
        return _not_async(factory, given)
    _throw_away(given)
    return None


def likeness(factory: Factory) -> Hashable:
    """Return what is equal for factories of which `problem_of` says the same: they are async, and made of one text."""
    if not _is_async(factory):
        return id(factory)
    if isinstance(factory, partial):
        return partial, likeness(factory.func), len(factory.args), tuple(factory.keywords)
    if isinstance(factory, MethodType):
        return MethodType, likeness(factory.__func__)
    if isinstance(factory, FunctionType) and not vars(factory):
        return factory.__code__, len(factory.__defaults__ or ()), tuple(factory.__kwdefaults__ or ())
    return id(factory)


async def build(factory: Factory) -> Any:
    """Return the pipeline that *factory* gives, or raise `FactoryError`."""
    given: Any = factory()
    if not isawaitable(given):
        raise FactoryError(_not_async(factory, given))
    pipeline = await given
    if isinstance(pipeline, type) or not callable(getattr(pipeline, "run", None)):
        raise FactoryError(
            f"{described(factory)} gave {_shown(pipeline)}, which cannot run: return what Pipeline.build() gives, "
            "or an object with an async run()"
        )
    return pipeline


async def run(pipeline: Any, factory: Factory, max_records: int | None) -> object:
    """Run a *pipeline* that is none of ours: `run(max_records=None)`, or `run()` where no limit is set."""
    if _takes_limit(pipeline.run):
        running = pipeline.run(max_records=max_records)
    elif max_records is None:
        running = pipeline.run()
    else:
        raise FactoryError(
            f"{described(factory)} gave {_shown(pipeline)} whose run() takes no max_records, and max_records="
            f"{max_records} is set: add the parameter, or take the limit away"
        )
    if not isawaitable(running):
        raise FactoryError(
            f"{described(factory)} gave {_shown(pipeline)} whose run() is not async: write `async def run`"
        )
    return await running


def _not_async(factory: Factory, given: object) -> str:
    return f"{described(factory)} is not async, and gave {_shown(given)}: write `async def`, and return the pipeline"


def _shown(value: object) -> str:
    if value is None:
        return "None"
    return f"the class {value.__qualname__}" if isinstance(value, type) else f"a {type(value).__qualname__}"


def _throw_away(given: Any) -> None:
    if iscoroutine(given):
        given.close()
    elif callable(getattr(given, "cancel", None)):
        given.cancel()


def _is_async(factory: Factory) -> bool:
    inner = _plain(factory)
    return iscoroutinefunction(inner) or iscoroutinefunction(getattr(type(inner), "__call__", None))  # noqa: B004


def _takes_limit(function: Callable[..., object]) -> bool:
    inner = getattr(function, "__func__", None)  # a method is made anew for each run, and its function is not
    return _function_has_limit(inner) if isinstance(inner, FunctionType) else _has_limit(function)


@lru_cache(maxsize=256)
def _function_has_limit(function: FunctionType) -> bool:
    return _has_limit(function)


def _has_limit(function: Callable[..., object]) -> bool:
    try:
        parameters = signature(function).parameters
    except (TypeError, ValueError):  # built in C, without a signature
        return True
    return "max_records" in parameters or any(p.kind is Parameter.VAR_KEYWORD for p in parameters.values())


def _needed(factory: Factory) -> list[str]:
    try:
        parameters = signature(factory).parameters.values()
    except (TypeError, ValueError):  # built in C, without a signature
        return []
    variadic = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is Parameter.empty and p.kind not in variadic]


def _plain(function: Any) -> Any:
    """Return the function inside partials."""
    while isinstance(function, partial):
        function = function.func
    return function


def _short(path: str) -> str:
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except (ValueError, OSError):
        return path
