"""Reads from the installed distributions who claims which plugin name; imports nothing of theirs."""

from collections.abc import Iterator
from typing import NamedTuple

from importlib_metadata import EntryPoint, distribution, distributions

from agora_core.registry.explain import told
from agora_core.registry.headers import header
from agora_core.spec.hooks import GROUP

DISTRIBUTION = "agora-etl"
"""Ours, whose plugins are the built-in parts."""


class Claim(NamedTuple):
    """An entry point, and whose it is."""

    entry: EntryPoint
    distribution: str
    version: str

    @property
    def own(self) -> bool:
        """Whether it is Agora's."""
        return self.distribution == DISTRIBUTION


class Unreadable(NamedTuple):
    """A distribution that has plugins, and whose list of them cannot be read."""

    distribution: str
    reason: str


def claims() -> Iterator[Claim | Unreadable]:
    """Yield every entry point of the group, once."""
    seen = set()
    for candidate in distributions():
        try:
            text = candidate.read_text("entry_points.txt") or ""
        except (OSError, ValueError):
            continue  # not readable, or not text: nobody can say that it names plugins of ours
        if f"[{GROUP}]" not in text:
            continue
        name = "a distribution without metadata"
        try:
            name = header(candidate, "Name") or name
            if normal(name) not in seen:
                seen.add(normal(name))
                yield from _claims_of(name)
        except Exception as error:  # noqa: BLE001  # files of others, broken in whatever way: listed, never fatal
            yield Unreadable(distribution=name, reason=f"its list of entry points cannot be read: {told(error)}")


def normal(name: str) -> str:
    """Return *name* as package indexes compare the names of distributions and of extras."""
    return name.lower().replace("_", "-").replace(".", "-")


def _claims_of(name: str) -> list[Claim]:
    # Of two copies of one distribution the first on sys.path counts, as it does for imports.
    first = distribution(name)
    version = header(first, "Version")
    entries = {(entry.name, entry.value): entry for entry in first.entry_points.select(group=GROUP)}
    return [Claim(entry=entry, distribution=name, version=version) for entry in entries.values()]
