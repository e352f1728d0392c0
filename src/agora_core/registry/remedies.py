"""Says why a plugin could not be loaded, and which line mends it."""

from collections.abc import Iterable

from importlib_metadata import PackageNotFoundError, distribution

from agora_core.registry.claims import normal
from agora_core.registry.explain import told_with_place
from agora_core.registry.headers import headers


def why_not_loaded(error: BaseException, *, module: str, owner: str, extras: Iterable[str]) -> tuple[str, str]:
    """Return the reason and the remedy for the *error* that loading *module* ended with.

    *extras* are the words that may name the extra of the distribution that brings what is missing.
    """
    if isinstance(error, ModuleNotFoundError) and error.name:
        if _same_package(error.name, module):
            return f"its module {error.name!r} does not exist", f"reinstall {owner}"
        return (
            f"needs the module {error.name!r}, which is not installed",
            install_line(owner, extras) or f"install {error.name!r}, or uninstall {owner}",
        )
    remedy = f"upgrade {owner}, or uninstall it"
    if isinstance(error, SystemExit):
        return f"exits while it is imported: {told_with_place(error, module)}", remedy
    return f"cannot be imported: {told_with_place(error, module)}", remedy


def install_line(owner: str, extras: Iterable[str]) -> str:
    """Return the pip line for the first of *extras* that the distribution has, or an empty string."""
    try:
        provided = {normal(extra): extra for extra in headers(distribution(owner), "Provides-Extra")}
    except PackageNotFoundError:
        return ""
    for extra in extras:
        if normal(extra) in provided:
            return f"pip install '{owner}[{provided[normal(extra)]}]'"
    return ""


def _same_package(name: str, module: str) -> bool:
    return name.partition(".")[0] == module.partition(".")[0]
