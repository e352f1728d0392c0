"""Refuses numbers that are none: the check that parts make of what their users gave."""

from math import inf, isfinite

from agora_core.spec.errors import ConfigError


def finite_number(name: str, value: object, *, least: float, most: float = inf) -> float:
    """Return *value* as a float when it is a finite number from *least* to *most*, else raise `ConfigError`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{name} must be a number, not {value!r}")
    try:
        number = float(value)
    except OverflowError:
        raise ConfigError(f"{name} is a number of more digits than can be used") from None
    if not isfinite(number) or not least <= number <= most:
        bounds = f"at least {least:g}" if most == inf else f"from {least:g} to {most:,.0f}"
        raise ConfigError(f"{name} must be a finite number, {bounds}, not {value!r}")
    return number
