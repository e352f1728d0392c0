"""Values of classes, as they lie in a store that does not know the classes, and the port of codecs for other ones."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from agora_core.spec.records import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class TypedValue:
    """A value of a class, as a store gives it back: replay makes one of the class of it, whoever has none sees this.

    No class is ever imported because a store names it.
    """

    type: str
    """The class, as `module:qualified.name`."""
    kind: str
    """How the class declares its fields: `dataclass`, `attrs`, `struct`, `pydantic`, `namedtuple`, `enum` …"""
    value: Record
    """What is inside: a dict of fields, or the value of an enumeration's member; may hold such values itself."""
    beside: Mapping[str, Record] = field(default_factory=dict)
    """What it keeps beside them; of a pydantic model, which were not given, which are extra, and its private ones."""

    def __hash__(self) -> int:
        """Return the same number for equal values, which may be keys of a dict as what they stand for was."""
        return hash((self.type, self.kind, _hashable(self.value)))


def _hashable(value: Record) -> Record:
    if isinstance(value, dict):
        return tuple([(name, _hashable(item)) for name, item in value.items()])
    return tuple([_hashable(item) for item in value]) if isinstance(value, list | tuple) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class CodedValue:
    """A value that a plugin's codec turned into bytes."""

    codec: str
    """The codec's `name`."""
    type: str
    """The value's class, for people."""
    payload: bytes


class RecordCodec(Protocol):
    """Keeps values of types that dead letters cannot hold by themselves, such as arrays; a hook offers them.

    What it encodes is decoded and compared before it is kept; a value that does not come back is only described.
    """

    @property
    def name(self) -> str:
        """What is kept with each value, and finds the codec again: a name and a version, such as `arrow/1`."""

    def encode(self, value: Record, /) -> bytes | None:
        """Return *value* as bytes, or None where it is none of this codec's; called in the thread of the event loop."""

    def decode(self, payload: bytes, /) -> Record:
        """Return the value that `encode` made *payload* of; raise `ValueError` when it is something else."""

    def same(self, one: Record, other: Record, /) -> bool:
        """Return whether two values of this codec's are the same."""
