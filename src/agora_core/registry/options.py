"""Holds the options that a user gave against a builder's signature: unknown ones, missing ones, wrong types."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from inspect import Parameter, Signature, signature
from typing import NamedTuple

from agora_core.registry.option_types import fits, wanted
from agora_core.spec.errors import did_you_mean


class OptionFault(NamedTuple):
    """What is wrong with the option *name*, in one sentence."""

    name: str
    text: str


def parameters(build: Callable[..., object]) -> Mapping[str, Parameter] | None:
    """Return what *build* takes by keyword, with its types where they can be read; None when nobody can tell."""
    taken = _signature(build, evaluate=True) or _signature(build, evaluate=False)
    if taken is None:
        return None
    return {name: one for name, one in taken.parameters.items() if one.kind is not Parameter.POSITIONAL_ONLY}


def _signature(build: Callable[..., object], *, evaluate: bool) -> Signature | None:
    try:
        return signature(build, eval_str=evaluate)
    except Exception:  # noqa: BLE001  # annotations are somebody's code, and builtins may have no signature
        return None


def option_faults(
    build: Callable[..., object],
    options: Mapping[str, object],
    *,
    given: Collection[str] = (),
    beside: Collection[str] = (),
    noun: str = "option",
) -> list[OptionFault]:
    """Return everything about *options* that *build* cannot take.

    *given* are parameters that somebody else fills in, *beside* further names that may stand with the options, and
    *noun* is what an option is called in the sentences.
    """
    taken = parameters(build)
    if taken is None:
        return []
    open_ended = any(one.kind is Parameter.VAR_KEYWORD for one in taken.values())
    named = {name: one for name, one in taken.items() if _is_named(one)}
    return [
        *([] if open_ended else _unknown(options, [*named, *beside], noun)),
        *_missing({*options, *given}, named.values(), noun),
        *_mistyped(options, named, noun),
    ]


def _is_named(parameter: Parameter) -> bool:
    return parameter.kind in (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)


def _unknown(options: Iterable[str], named: Collection[str], noun: str) -> Iterator[OptionFault]:
    listed = ", ".join(sorted(set(named))) or "none"
    for name in options:
        if name not in named:
            yield OptionFault(name, f"no {noun} {name!r}; known: {listed}{did_you_mean(name, named)}")


def _missing(given: Collection[str], named: Iterable[Parameter], noun: str) -> Iterator[OptionFault]:
    for parameter in named:
        if parameter.default is Parameter.empty and parameter.name not in given:
            yield OptionFault(parameter.name, f"the {noun} {parameter.name!r} is required")


def _mistyped(options: Mapping[str, object], named: Mapping[str, Parameter], noun: str) -> Iterator[OptionFault]:
    for name, value in options.items():
        if name in named and not fits(value, named[name].annotation):
            kind = wanted(named[name].annotation)
            yield OptionFault(name, f"the {noun} {name!r} must be {kind}, not {value!r}")
