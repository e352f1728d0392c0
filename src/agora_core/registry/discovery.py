"""Finds plugins through entry points: each is `Found`, or `Missing` with a reason and what mends it.

Not pluggy's own loader: that one stops at the first broken plugin, and passes over a second one of the same name.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pluggy import PluginManager

from agora_core.registry.claims import DISTRIBUTION, Claim, Unreadable, claims
from agora_core.registry.hook_check import hook_fault, new_manager, plugin_object
from agora_core.registry.remedies import why_not_loaded


class Found(NamedTuple):
    """A plugin that was loaded and whose hooks fit; *plugin* is the object that has them."""

    name: str
    distribution: str
    version: str
    plugin: object


class Missing(NamedTuple):
    """A plugin that is installed and cannot be used: the *reason*, and the *remedy* that mends it."""

    name: str
    distribution: str
    version: str
    reason: str
    remedy: str


def discover() -> list[Found | Missing]:
    """Load every plugin on `sys.path`: Agora's own first, then by name. Nothing that a plugin does stops it."""
    discovered: list[Found | Missing] = []
    by_name: dict[str, list[Claim]] = {}
    for claim in claims():
        if isinstance(claim, Unreadable):
            discovered.append(_unreadable(claim))
        else:
            by_name.setdefault(claim.entry.name, []).append(claim)
    manager = new_manager()
    for name in sorted(by_name, key=lambda name: (not any(claim.own for claim in by_name[name]), name)):
        discovered += _settled(by_name[name], manager)
    if not any(claim.own for rivals in by_name.values() for claim in rivals):
        discovered.append(_not_installed())
    return discovered


def _settled(rivals: Sequence[Claim], manager: PluginManager) -> Iterator[Found | Missing]:
    """Yield what becomes of the claims to one name: a name with two owners is nobody's, unless it is Agora's own."""
    own = [claim for claim in rivals if claim.own]
    if len(rivals) > 1 and len(own) != 1:
        yield from (_contested(claim, rivals) for claim in rivals)
        return
    winner = (own or rivals)[0]
    yield _loaded(winner, manager)
    yield from (_impostor(claim) for claim in rivals if claim is not winner)


def _loaded(claim: Claim, manager: PluginManager) -> Found | Missing:
    try:
        plugin = plugin_object(claim.entry.load())
        fault = hook_fault(plugin, manager)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  # a plugin call: whatever it raises, even SystemExit, is its own
        return _missing(claim, *_why(error, claim))
    if fault:
        return _missing(claim, fault, f"mend the plugin, or uninstall {claim.distribution}")
    return Found(name=claim.entry.name, distribution=claim.distribution, version=claim.version, plugin=plugin)


def _why(error: BaseException, claim: Claim) -> tuple[str, str]:
    try:
        module, extras = claim.entry.module, claim.entry.extras
    except (ValueError, AttributeError):
        return f"{claim.entry.value!r} is no `module` or `module:attribute`", f"upgrade {claim.distribution}"
    return why_not_loaded(error, module=module, owner=claim.distribution, extras=(*extras, claim.entry.name))


def _missing(claim: Claim, reason: str, remedy: str) -> Missing:
    return Missing(
        name=claim.entry.name, distribution=claim.distribution, version=claim.version, reason=reason, remedy=remedy
    )


def _impostor(claim: Claim) -> Missing:
    reason = f"its entry point has the name {claim.entry.name!r}, which is one of {DISTRIBUTION}'s own"
    return _missing(claim, reason, f"rename the entry point, or uninstall {claim.distribution}")


def _contested(claim: Claim, rivals: Sequence[Claim]) -> Missing:
    owners = list(dict.fromkeys(rival.distribution for rival in rivals))
    if len(owners) == 1:
        reason = f"names its entry point {claim.entry.name!r} twice, with different values"
        return _missing(claim, reason, f"upgrade {claim.distribution}, or uninstall it")
    reason = f"the entry point {claim.entry.name!r} is claimed by both {' and '.join(owners)}"
    return _missing(claim, reason, "uninstall one of them")


def _unreadable(found: Unreadable) -> Missing:
    return Missing(
        name=found.distribution,
        distribution=found.distribution,
        version="",
        reason=found.reason,
        remedy=f"reinstall {found.distribution}",
    )


def _not_installed() -> Missing:
    return Missing(
        name=DISTRIBUTION,
        distribution=DISTRIBUTION,
        version="",
        reason="Agora's own parts are found through its entry points, and there are none",
        remedy="install Agora with pip, from its checkout",
    )
