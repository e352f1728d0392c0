"""Checks the hooks of a plugin before pluggy sees them: mistyped, with wrong arguments, of the wrong sort."""

from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from inspect import Parameter, getattr_static, iscoroutinefunction, isfunction, signature
from types import ModuleType
from typing import Any

from pluggy import PluginManager

from agora_core.spec import hooks
from agora_core.spec.errors import did_you_mean
from agora_core.spec.markers import PROJECT

_PREFIX = f"{PROJECT}_"


def new_manager() -> PluginManager:
    """Return a manager that knows Agora's hooks and no plugin."""
    manager = PluginManager(PROJECT)
    manager.add_hookspecs(hooks)
    return manager


def _known_hooks(manager: PluginManager) -> dict[str, tuple[str, ...]]:
    names = [name for name in vars(manager.hook) if name.startswith(_PREFIX)]
    return {name: tuple(getattr(manager.hook, name).spec.argnames) for name in names}


def plugin_object(loaded: object) -> object:
    """Return what has the hooks: *loaded* itself, or an instance of it when it is a class whose hooks take `self`."""
    if isinstance(loaded, type):
        for name in dir(loaded):
            if _takes_self(getattr_static(loaded, name), name):
                return loaded()
    return loaded


def hook_fault(plugin: object, manager: PluginManager) -> str:
    """Return what is wrong with the hooks of *plugin*, in one sentence, or an empty string.

    Only the hooks that *manager* knows are asked of it; nothing is registered.
    """
    known = _known_hooks(manager)
    implemented = 0
    for name, function, options in _candidates(manager, plugin):
        fault = _fault(name, function, options, known)
        if fault:
            return fault
        implemented += 1
    if not implemented:
        return f"implements no hook; mark its functions with @hookimpl; known hooks: {', '.join(sorted(known))}"
    return ""


def _candidates(
    manager: PluginManager, plugin: object
) -> Iterator[tuple[str, Callable[..., object], dict[str, Any] | None]]:
    """Yield everything that is a hook, or whose name says that it was meant to be one; options None: not marked."""
    for name in dir(plugin):
        options = manager.parse_hookimpl_opts(plugin, name)
        if options is not None:
            yield name, getattr(plugin, name), dict(options)
        elif name.startswith(_PREFIX) and _stems_from(plugin, getattr(plugin, name, None)):
            yield name, getattr(plugin, name), None


def _stems_from(plugin: object, member: object) -> bool:
    """Whether *member* is a function that was written in *plugin*, rather than imported into it."""
    function = getattr(member, "__func__", member)
    if not isfunction(function) or hasattr(function, f"{PROJECT}_spec"):
        return False
    return not isinstance(plugin, ModuleType) or function.__module__ == plugin.__name__


def _takes_self(member: object, name: str) -> bool:
    if not isfunction(member) or not (hasattr(member, f"{PROJECT}_impl") or name.startswith(_PREFIX)):
        return False
    return next(iter(signature(member).parameters), "") == "self"


def _fault(
    name: str, function: Callable[..., object], options: dict[str, Any] | None, known: dict[str, tuple[str, ...]]
) -> str:
    hook = (options or {}).get("specname") or name
    if hook not in known:
        if options and options.get("optionalhook"):
            return ""
        hint = _nearest(hook, known) or f"; known: {', '.join(sorted(known))}"
        return f"has the function {name!r}, but there is no hook named {hook!r}{hint}"
    if options is None:
        return f"its hook {name!r} is not marked with @hookimpl"
    if options.get("wrapper") or options.get("hookwrapper"):
        return f"its hook {name!r} is a wrapper; Agora's hooks are plain functions"
    if iscoroutinefunction(function):
        return f"its hook {name!r} is async; hooks are plain functions, the objects that they return may be async"
    return _argument_fault(name, function, known[hook])


def _nearest(hook: str, known: Iterable[str]) -> str:
    # Compared without the prefix, which all have in common and which would make any two names alike.
    stems = [name.removeprefix(_PREFIX) for name in known]
    near = get_close_matches(hook.removeprefix(_PREFIX), stems, n=1)
    return f"; did you mean {_PREFIX + near[0]!r}?" if near else ""


def _argument_fault(name: str, function: Callable[..., object], known: tuple[str, ...]) -> str:
    for parameter in signature(function).parameters.values():
        variadic = parameter.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
        if variadic or parameter.default is not Parameter.empty:
            continue
        if parameter.name not in known:
            takes = ", ".join(known) or "nothing"
            hint = did_you_mean(parameter.name, known)
            return f"its hook {name!r} takes the argument {parameter.name!r}, which is not known; known: {takes}{hint}"
        if parameter.kind is Parameter.KEYWORD_ONLY:
            return f"its hook {name!r} takes {parameter.name!r} by keyword only; hooks are called by position"
    return ""
