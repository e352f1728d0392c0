"""All plugins of this process, discovered once: what they offer, what is wrong with them, and whom to tell the news."""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import NamedTuple

from pluggy import PluginManager

from agora_core.registry.catalogue import Catalogue, Offered, Unavailable, owners
from agora_core.registry.discovery import Found, Missing, discover
from agora_core.registry.explain import told
from agora_core.registry.hook_check import new_manager
from agora_core.registry.news import News
from agora_core.registry.offering import HOOKS, Problem, offers_of


class Plugins(NamedTuple):
    """What was discovered, and what can be done with it."""

    found: tuple[Found, ...]
    missing: tuple[Missing, ...]
    problems: tuple[Problem, ...]
    catalogue: Catalogue
    news: News


@cache
def installed() -> Plugins:
    """Return the plugins that are installed; they are looked for at the first call only."""
    return assemble(discover())


def assemble(discovered: Iterable[Found | Missing]) -> Plugins:
    """Register what was *discovered* and collect its offers."""
    manager, found, missing = _registered(discovered)
    by_name = {plugin.name: plugin for plugin in found}
    answers = [
        answer
        for hook in HOOKS
        for listener in getattr(manager.hook, hook).get_hookimpls()
        for answer in offers_of(by_name[listener.plugin_name], hook, listener.function)
    ]
    problems = [answer for answer in answers if isinstance(answer, Problem)]
    catalogue = Catalogue(
        [answer for answer in answers if isinstance(answer, Offered)], _unavailable(missing, problems)
    )
    return Plugins(
        found=tuple(found),
        missing=tuple(missing),
        problems=(*problems, *_clashes(catalogue)),
        catalogue=catalogue,
        news=News(manager, {plugin.name: plugin.distribution for plugin in found}),
    )


def _registered(discovered: Iterable[Found | Missing]) -> tuple[PluginManager, list[Found], list[Missing]]:
    manager = new_manager()
    found: list[Found] = []
    missing: list[Missing] = []
    for plugin in discovered:
        if isinstance(plugin, Missing):
            missing.append(plugin)
            continue
        twin = next((other for other in found if other.plugin is plugin.plugin), None)
        if twin:
            missing.append(_same_as(twin, plugin))
            continue
        try:
            manager.register(plugin.plugin, plugin.name)
        except Exception as error:  # noqa: BLE001  # a plugin call: pluggy looks at the attributes of its object
            missing.append(_refused(plugin, error))
            # pluggy leaves a plugin half registered when it finds fault with it, so the others move to a new manager.
            manager = new_manager()
            for other in found:
                manager.register(other.plugin, other.name)
        else:
            found.append(plugin)
    return manager, found, missing


def _refused(plugin: Found, error: Exception) -> Missing:
    return Missing(
        name=plugin.name,
        distribution=plugin.distribution,
        version=plugin.version,
        reason=f"cannot be registered: {told(error)}",
        remedy=f"mend the plugin, or uninstall {plugin.distribution}",
    )


def _same_as(twin: Found, plugin: Found) -> Missing:
    return Missing(
        name=plugin.name,
        distribution=plugin.distribution,
        version=plugin.version,
        reason=f"names the same module or object as the entry point {twin.name!r} of {twin.distribution}",
        remedy=f"upgrade {plugin.distribution}, or remove one of the entry points",
    )


def _unavailable(missing: Sequence[Missing], problems: Sequence[Problem]) -> list[Unavailable]:
    return [
        *(Unavailable(plugin=one.name, kind=None, reason=one.reason, remedy=one.remedy) for one in missing),
        *(
            Unavailable(plugin=one.plugin, kind=HOOKS[one.hook], reason=one.reason, remedy=one.remedy)
            for one in problems
        ),
    ]


def _clashes(catalogue: Catalogue) -> list[Problem]:
    """Return a problem for each offer whose name somebody else offers too."""
    return [
        Problem(
            plugin=one.plugin,
            distribution=one.distribution,
            version=one.version,
            hook=one.hook,
            reason=f"the {one.kind} {one.offer.name!r} is offered by both {' and '.join(owners(same))}",
            remedy="uninstall one of them",
        )
        for same in catalogue.duplicates()
        for one in same
    ]
