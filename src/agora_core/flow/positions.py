"""Where a source stands, as a value that does not change when the source goes on."""

from copy import deepcopy

from agora_core.spec.records import Position, Source

_ATOMS = (int, float, str, bool, type(None))


def position_of(source: Source) -> Position:
    """Return the position of *source*, a copy of it where it could change."""
    position = source.position  # type: ignore[attr-defined]  # optional in the protocol, and looked for before
    return position if type(position) in _ATOMS else deepcopy(position)
