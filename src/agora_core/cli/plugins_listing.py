"""The plugins and what they offer, as rows for people and as JSON."""

from collections.abc import Sequence

from agora_core.cli.printing import say, table
from agora_core.registry.catalogue import Kind, Offered
from agora_core.registry.discovery import Found, Missing
from agora_core.registry.offering import Problem
from agora_core.registry.plugins import Plugins


def plugins_as_json(plugins: Plugins) -> dict[str, object]:
    """Return the plugins that were found, each with its offers and problems, and those that are missing."""
    return {
        "plugins": [
            {
                "name": found.name,
                "distribution": found.distribution,
                "version": found.version,
                "offers": [
                    {"kind": one.kind.value, "name": one.offer.name, "summary": one.offer.summary}
                    for one in _offers(plugins, found)
                ],
                "problems": [
                    {"hook": problem.hook, "reason": problem.reason, "remedy": problem.remedy}
                    for problem in plugins.problems
                    if problem.plugin == found.name
                ],
            }
            for found in plugins.found
        ],
        "missing": [
            {
                "name": missing.name,
                "distribution": missing.distribution,
                "version": missing.version,
                "reason": missing.reason,
                "remedy": missing.remedy,
            }
            for missing in plugins.missing
        ],
    }


def say_plugins(plugins: Plugins) -> None:
    """Print the plugins with what they offer, then those that cannot be used with the reason and what mends them."""
    rows = [(one.name, f"{one.distribution} {one.version}", _in_words(_offers(plugins, one))) for one in plugins.found]
    say(f"Plugins ({len(rows)})")
    _say_rows(rows)
    _say_faults("Missing plugins", plugins.missing)
    _say_faults("Plugins with problems", plugins.problems)


def _say_faults(title: str, faults: Sequence[Missing | Problem]) -> None:
    rows = [
        (
            one.name if isinstance(one, Missing) else one.plugin,
            f"{one.distribution} {one.version}".rstrip(),
            f"{one.reason}; {one.remedy}" if one.remedy else one.reason,
        )
        for one in faults
    ]
    if rows:
        say()
        say(f"{title} ({len(rows)})")
        _say_rows(rows)


def _say_rows(rows: Sequence[tuple[str, ...]]) -> None:
    for line in table(rows, indent="  ") or ["  none"]:
        say(line)


def _offers(plugins: Plugins, found: Found) -> list[Offered]:
    return [one for kind in Kind for one in plugins.catalogue.offers(kind) if one.plugin == found.name]


def _in_words(offers: Sequence[Offered]) -> str:
    kinds: dict[Kind, list[str]] = {}
    for one in offers:
        kinds.setdefault(one.kind, []).append(one.offer.name)
    return "; ".join(f"{kind.value}: {', '.join(names)}" for kind, names in kinds.items()) or "listens to news"
