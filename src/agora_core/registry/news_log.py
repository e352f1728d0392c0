"""The log's word on plugins that raise while they are told news."""

from logging import DEBUG, getLogger

from agora_core.registry.explain import told

_log = getLogger("agora.registry")


def complain(*, hook: str, plugin: str, distribution: str, error: BaseException) -> None:
    """Name the plugin that raised in *hook*; at the level DEBUG with its traceback, which may show secrets."""
    _log.error(
        "plugin failed in a hook",
        extra={"plugin": plugin, "hook": hook, "distribution": distribution, "error": told(error)},
        exc_info=error if _log.isEnabledFor(DEBUG) else None,
    )
