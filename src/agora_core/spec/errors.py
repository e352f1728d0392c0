"""Every error that Agora raises on purpose: one tree, one sentence each, its parts kept as attributes."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `"; did you mean 'x'?"` for the known word nearest to *word*, or an empty string."""
    near = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""


class AgoraError(Exception):
    """The root of all errors that Agora raises on purpose; shown as one sentence, without a traceback."""


class ConfigError(AgoraError):
    """Something that the user wrote cannot be used; raised before anything runs, exit code 2."""


class OfferError(ConfigError):
    """A part was chosen by name, and cannot be built; *kind* says what it would have been."""

    def __init__(self, message: str, *, kind: str, name: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.name = name


class UnknownOfferError(OfferError):
    """No plugin offers the *name* that was chosen."""

    def __init__(self, kind: str, name: str, *, known: Iterable[str], hint: str = "") -> None:
        self.known = sorted(known)
        self.hint = hint or did_you_mean(name, self.known)
        listed = ", ".join(self.known) or "none"
        super().__init__(f"no {kind} named {name!r}; known: {listed}{self.hint}", kind=kind, name=name)


class DuplicateOfferError(OfferError):
    """Two distributions offer the same *name*, so neither can be chosen."""

    def __init__(self, kind: str, name: str, *, distributions: Iterable[str]) -> None:
        self.distributions = tuple(distributions)
        both = " and ".join(self.distributions)
        super().__init__(f"{kind} {name!r} is offered by both {both}; uninstall one of them", kind=kind, name=name)


class MissingPluginError(OfferError):
    """The plugin that offers *name* is not installed, or could not be loaded; *remedy* says what mends it."""

    def __init__(self, kind: str, name: str, *, reason: str, remedy: str) -> None:
        self.reason = reason
        self.remedy = remedy
        tail = f"; {remedy}" if remedy else ""
        super().__init__(f"{kind} {name!r} is not available: {reason}{tail}", kind=kind, name=name)


class BadOptionsError(OfferError):
    """The options given to the part *name* do not fit it."""

    def __init__(self, kind: str, name: str, *, problem: str) -> None:
        self.problem = problem
        super().__init__(f"{kind} {name!r}: {problem}", kind=kind, name=name)


class DeploymentError(ConfigError):
    """What was registered cannot run as it is; *problems* are all of them, one sentence each."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class FactoryError(ConfigError):
    """A pipeline's factory is a programming error: not async, or it gives something that cannot run."""


class RunError(AgoraError):
    """A run could not go on; the checkpoint stays where it was and the run is retried."""


class DeadLetterError(RunError):
    """A record failed and could not be kept as a dead letter, so the run stops before it is lost."""


class TooManyDeadError(RunError):
    """More records of one run died than `DeliveryConfig` allows: the pipeline is broken, not its records."""


class PartialWriteError(AgoraError):
    """Raised by a sink's `write_batch` that kept all but some records; *failed* maps their index to the error."""

    def __init__(self, failed: Mapping[int, Exception]) -> None:
        self.failed = dict(failed)
        super().__init__(f"{len(self.failed)} records of a batch were not written")


class StoreError(AgoraError):
    """A dead-letter or state store cannot be used; the message names it and what is wrong."""


class LeaseLostError(AgoraError):
    """The right to run a pipeline went to another worker while this one still ran it."""


class PluginError(AgoraError):
    """A plugin broke a promise while it was called; *plugin* and *hook* say whose and where."""

    def __init__(self, message: str, *, plugin: str, hook: str) -> None:
        super().__init__(message)
        self.plugin = plugin
        self.hook = hook


class ConservationError(RuntimeError):
    """Records appeared or vanished: `read != written + filtered + dead + in_flight`. Always a bug, never the user's."""
