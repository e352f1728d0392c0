"""Tells plugins the news: each is called guarded, so that one that raises is named in the log and silences nobody."""

from inspect import iscoroutine

from pluggy import HookImpl, PluginManager

from agora_core.spec.markers import PROJECT
from agora_core.spec.offers import late

# Late, since `logging` costs more than all the rest of this file, and listing plugins tells no news.
_complain = late("agora_core.registry.news_log:complain")


class News:
    """Whom to tell what; built once, when all plugins are registered."""

    def __init__(self, manager: PluginManager, distributions: dict[str, str]) -> None:
        self._distributions = distributions
        self._listeners: dict[str, tuple[HookImpl, ...]] = {
            name: tuple(reversed(caller.get_hookimpls()))
            for name, caller in vars(manager.hook).items()
            if name.startswith(f"{PROJECT}_")
        }

    def is_heard(self, hook: str) -> bool:
        """Whether any plugin has *hook*."""
        return bool(self._listeners[hook])

    def tell(self, hook: str, **values: object) -> None:
        """Call *hook* of every plugin that has it with the frozen *values*; a plugin that raises is logged."""
        for listener in self._listeners[hook]:
            try:
                answer = listener.function(*(values[name] for name in listener.argnames))
                if iscoroutine(answer):
                    answer.close()
                    raise TypeError("it is async; hooks are plain functions")
            except (Exception, SystemExit) as error:  # noqa: BLE001  # a plugin call: its failure is its own
                plugin = listener.plugin_name
                _complain(hook=hook, plugin=plugin, distribution=self._distributions.get(plugin, ""), error=error)
