"""What a class is, and what lies in its values, read as it lies there: none of the class's own code is run by it."""

from collections.abc import Iterator, Mapping
from types import MemberDescriptorType
from typing import Any

from agora_core.codec.description import printable
from agora_core.spec.records import Record


def class_name(kind: type) -> str:
    """Return how a row names the class: `module:qualified.name`."""
    # By the descriptors of `type` itself, since a metaclass may answer anything, or raise.
    return printable(f"{module_of(kind)}:{type.__dict__['__qualname__'].__get__(kind)}")


def module_of(kind: type) -> object:
    """Return what *kind* says is its module, which may be anything."""
    try:
        return type.__dict__["__module__"].__get__(kind)
    except AttributeError:
        return None


def mro_of(kind: type) -> tuple[type, ...]:
    """Return *kind* and the classes above it, in the order in which they are asked."""
    mro: tuple[type, ...] = type.__dict__["__mro__"].__get__(kind)
    return mro


def declared(kind: type, name: str, default: Any = None) -> Any:
    """Return what *kind* or a class above it has under *name*, as it lies there."""
    return next((names[name] for base in mro_of(kind) if name in (names := own_names(base))), default)


def own_names(kind: type) -> Mapping[str, Any]:
    """Return what *kind* itself has, by its names."""
    own: Mapping[str, Any] = type.__dict__["__dict__"].__get__(kind)
    return own


def slots_of(kind: type) -> Iterator[str]:
    """Yield the names of all slots that values of *kind* have."""
    for base in mro_of(kind):
        yield from (name for name, found in own_names(base).items() if isinstance(found, MemberDescriptorType))


def has_attribute(value: Record, name: str) -> bool:
    """Return whether *value* has an attribute of that name, without asking a `__getattr__` or `__getattribute__`."""
    try:
        object.__getattribute__(value, name)
    except AttributeError:
        return False
    return True


def has_only(value: Record, names: frozenset[str]) -> bool:
    """Return whether nothing lies in the `__dict__` of *value* but under *names*."""
    try:
        inside = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return True
    return all(name in names for name in inside)


def has_no_builtin(kind: type) -> bool:
    """Return whether no base is a built-in class: what that keeps in a value, no field tells."""
    return not any(module_of(base) == "builtins" for base in mro_of(kind) if base is not object)


def is_computed(found: object) -> bool:
    """Return whether what a class has under a field's name has a say in what is put there, as a property has."""
    return hasattr(type(found), "__set__") and not isinstance(found, MemberDescriptorType)
