"""Asks every plugin for its offers. A hook that raises or answers nonsense is a `Problem`; the others go on."""

import re
from collections.abc import Callable, Iterable, Iterator
from inspect import iscoroutine
from itertools import islice
from typing import NamedTuple

from agora_core.registry.catalogue import Kind, Offered
from agora_core.registry.discovery import Found
from agora_core.registry.explain import told, told_with_place
from agora_core.registry.remedies import install_line
from agora_core.spec.offers import Offer

HOOKS = {
    "agora_schedule_types": Kind.SCHEDULE_TYPE,
    "agora_calendars": Kind.CALENDAR,
    "agora_backoff_policies": Kind.BACKOFF_POLICY,
    "agora_dlq_stores": Kind.DEAD_LETTER_STORE,
    "agora_dlq_codecs": Kind.RECORD_CODEC,
    "agora_health_exporters": Kind.HEALTH_EXPORTER,
    "agora_sources": Kind.SOURCE,
    "agora_sinks": Kind.SINK,
    "agora_middlewares": Kind.MIDDLEWARE,
    "agora_state_stores": Kind.STATE_STORE,
    "agora_engines": Kind.ENGINE,
    "agora_partition_executors": Kind.PARTITION_EXECUTOR,
    "agora_commands": Kind.COMMAND,
}
"""The hooks that offer, and the kind of part that each offers."""

MOST_OFFERS = 1000
"""One hook's answer is cut off here, so that a generator that never ends stops nobody."""

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")


class Problem(NamedTuple):
    """A plugin that was loaded, and broke its promise in *hook*: why, and what mends it."""

    plugin: str
    distribution: str
    version: str
    hook: str
    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"plugin {self.plugin!r} of {self.distribution}: {self.reason}; {self.remedy}"


def offers_of(found: Found, hook: str, function: Callable[[], object]) -> Iterator[Offered | Problem]:
    """Call one *hook* of a plugin, and yield each offer, and each problem with the answer."""
    try:
        answers = _answers(function())
    except (Exception, SystemExit) as error:  # noqa: BLE001  # a plugin call: whatever it raises is its own
        yield _broken(found, hook, error)
        return
    for answer in answers:
        fault = _fault(answer)
        if fault or not isinstance(answer, Offer):
            yield _problem(found, hook, fault)
        else:
            yield Offered(
                offer=answer,
                kind=HOOKS[hook],
                hook=hook,
                plugin=found.name,
                distribution=found.distribution,
                version=found.version,
            )


def _answers(result: object) -> list[object]:
    if iscoroutine(result):
        result.close()
        raise TypeError("it is async; hooks are plain functions")
    if isinstance(result, str | bytes) or not isinstance(result, Iterable):
        raise TypeError(f"it returned {result!r:.200}, not a list of offers")
    answers = list(islice(result, MOST_OFFERS + 1))
    if len(answers) > MOST_OFFERS:
        raise ValueError(f"it returned more than {MOST_OFFERS} offers")
    return answers


def _fault(answer: object) -> str:
    if not isinstance(answer, Offer):
        return f"returned {answer!r:.200} in place of an Offer"
    name: object = answer.name
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return f"offers the name {name!r:.200}; names are 1 to 128 of the characters A-Z a-z 0-9 _ . -"
    summary: object = answer.summary
    if not isinstance(summary, str):
        return f"offers {name!r} with the summary {summary!r:.200}, which is no text"
    build: object = answer.build
    if not callable(build):
        return f"offers {name!r} with {build!r:.200} to build it, which cannot be called"
    return ""


def _broken(found: Found, hook: str, error: BaseException) -> Problem:
    if isinstance(error, ModuleNotFoundError) and error.name:
        remedy = install_line(found.distribution, [found.name])
        return _problem(found, hook, f"needs the module {error.name!r}, which is not installed", remedy)
    reason = told_with_place(error, _module_of(found.plugin)) if error.__traceback__ else told(error)
    return _problem(found, hook, f"raised {reason}")


def _problem(found: Found, hook: str, reason: str, remedy: str = "") -> Problem:
    return Problem(
        plugin=found.name,
        distribution=found.distribution,
        version=found.version,
        hook=hook,
        reason=f"{hook} {reason}",
        remedy=remedy or f"upgrade {found.distribution}, or mend the plugin",
    )


def _module_of(plugin: object) -> str:
    return str(getattr(plugin, "__module__", None) or getattr(plugin, "__name__", None) or type(plugin).__module__)
