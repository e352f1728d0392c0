"""The classes that an annotation mentions, found without importing or running anything.

What cannot be read is left out. Not `typing.get_type_hints`: that one gives nothing at all where one name of many is
known to type checkers alone.
"""

import ast
import builtins
from collections.abc import Iterator, Mapping
from inspect import getattr_static
from typing import Annotated, Any, ForwardRef, Literal, NewType, TypeVar, get_args, get_origin

_NOTHING = object()
_MOST = 1000
"""So many parts of one annotation are looked at."""


def classes_in(annotation: object, names: Mapping[str, object]) -> list[type]:
    """Return the classes in *annotation*, also inside `list[…]`, unions and so on; its texts may use *names*."""
    found: dict[type, None] = {}
    texts: set[str] = set()
    waiting: list[Any] = [annotation]
    for _ in range(_MOST):
        if not waiting:
            break
        one = waiting.pop()
        if isinstance(one, str):
            if one not in texts:
                texts.add(one)
                waiting += _mentioned_in(one, names)
        elif isinstance(one, type) and get_origin(one) is None:
            found[one] = None
        else:
            waiting += _inside(one)
    return list(found)


def _inside(one: Any) -> list[object]:
    """Return what an annotation that is no class is made of."""
    origin = get_origin(one)
    if origin is Literal:
        return []  # its texts are values
    if origin is not None:
        arguments = get_args(one)
        return [origin, *(arguments[:1] if origin is Annotated else arguments)]
    if isinstance(one, list | tuple):  # the parameters of a Callable
        return list(one)
    if isinstance(one, TypeVar):
        return [one.__bound__, *one.__constraints__]
    if isinstance(one, ForwardRef | NewType):
        return [one.__forward_arg__ if isinstance(one, ForwardRef) else one.__supertype__]
    return _alias(one)


def _alias(one: object) -> list[object]:
    """Return what the name of a `type` statement stands for, which is evaluated as late as here."""
    if type(one).__name__ != "TypeAliasType":
        return []
    try:
        return [one.__value__]  # type: ignore[attr-defined]  # Python 3.11 does not know such types
    except Exception:  # noqa: BLE001  # the user's annotation, of which a name may be known to type checkers alone
        return []


def _mentioned_in(text: str, names: Mapping[str, object]) -> list[object]:
    try:
        return list(_mentioned(ast.parse(text.strip(), mode="eval").body, names))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []


def _mentioned(node: ast.expr, names: Mapping[str, object]) -> Iterator[object]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.Name | ast.Attribute):
        found = _named(node, names)
        if found is not _NOTHING:
            yield found
    for part in _parts(node, names):
        yield from _mentioned(part, names)


def _parts(node: ast.expr, names: Mapping[str, object]) -> list[ast.expr]:
    """Return what else there is to look at in `one | other`, `[one, other]` and `one[other]`."""
    if isinstance(node, ast.BinOp):
        return [node.left, node.right]
    if isinstance(node, ast.Tuple | ast.List):
        return node.elts
    if not isinstance(node, ast.Subscript):
        return []
    origin = _named(node.value, names)
    inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if origin is Literal:
        return []
    return [node.value, *(inner[:1] if origin is Annotated else inner)]


def _named(node: ast.expr, names: Mapping[str, object]) -> object:
    """Return what a name, dotted or not, stands for; looked up as it lies there, since a module may import late."""
    if isinstance(node, ast.Name):
        return names[node.id] if node.id in names else vars(builtins).get(node.id, _NOTHING)
    if isinstance(node, ast.Attribute):
        owner = _named(node.value, names)
        return owner if owner is _NOTHING else getattr_static(owner, node.attr, _NOTHING)
    return _NOTHING
