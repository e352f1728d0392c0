"""What a record has for the columns of a table or a CSV file: fields by name."""

from collections.abc import Mapping

from agora_core.spec.records import Record


def fields_of(record: Record) -> Mapping[str, object]:
    """Return the fields of *record*: a mapping's own, or those of a dataclass, Struct, attrs or pydantic object.

    Raises TypeError for anything else, and for names that are no text.
    """
    if not isinstance(record, Mapping):
        return _declared(record)
    for name in record:
        if not isinstance(name, str):
            raise TypeError(f"the field {name!r:.100} has a name of type {type(name).__name__!r}; names must be text")
    return record


def _declared(record: Record) -> dict[str, object]:
    kind = type(record)
    for declaration in ("__struct_fields__", "__dataclass_fields__", "model_fields"):
        names = getattr(kind, declaration, None)
        if isinstance(names, tuple | dict):
            return {name: getattr(record, name) for name in names}
    attributes = getattr(kind, "__attrs_attrs__", None)
    if attributes is not None:
        return {attribute.name: getattr(record, attribute.name) for attribute in attributes}
    raise TypeError(f"a record must have fields by name, as a dict has, to become a row; this one is {_shown(record)}")


def _shown(record: Record) -> str:
    return f"of type {type(record).__name__!r}"
