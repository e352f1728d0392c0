"""Named resources of a worker: how much it has of each, and how much of each a run needs."""

import re
from collections.abc import Iterator, Mapping, Sequence

from agora_core.spec.errors import ConfigError, did_you_mean

PROCESS = "a process"
"""What an isolated run needs one of, counted like a resource. No resource of a user can be called so."""

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")


def capacities(value: object) -> dict[str, int]:
    """Return *value* as what a pool has of each resource, or raise `ConfigError`."""
    if not isinstance(value, Mapping):
        raise ConfigError(f'resources must say how much there is of each, such as {{"warehouse": 1}}, not {value!r}')
    return {_name(name): _amount(name, amount) for name, amount in value.items()}


def needs(value: object) -> dict[str, int]:
    """Return *value*, which is a mapping or names alone, as what a run needs of each resource."""
    if isinstance(value, Mapping):
        return {_name(name): _amount(name, amount) for name, amount in value.items()}
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise ConfigError(f'resources must be names, such as ["warehouse"], or amounts by name, not {value!r}')
    names = [_name(name) for name in value]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"resources name {name!r} twice; write {{{name!r}: {names.count(name)}}} for so many")
    return dict.fromkeys(names, 1)


def problems(wanted: Mapping[str, int], there: Mapping[str, int]) -> Iterator[str]:
    """Yield a sentence for each need in *wanted* that *there* can never meet."""
    for name, amount in wanted.items():
        if name not in there:
            known = ", ".join(sorted(there)) or "none"
            hint = did_you_mean(name, there)
            yield f"resources: the worker has no resource {name!r}; known: {known}{hint}"
        elif amount > there[name]:
            yield f"resources: a run needs {amount} of {name!r}, and the worker has {there[name]}"


def shown(name: str) -> str:
    """Return *name* as people read it after "waits for"."""
    return name if name == PROCESS else repr(name)


def _name(value: object) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ConfigError(f"a resource's name must be 1 to 128 letters, digits, '_', '.' or '-', not {value!r}")
    return value


def _amount(name: object, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(f"resources: {name!r} must be a whole number, not {value!r}")
    if value < 1:
        raise ConfigError(f"resources: {name!r} must be 1 or more, not {value!r}")
    return value
