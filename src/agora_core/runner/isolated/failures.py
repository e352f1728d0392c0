"""What a run failed with, on its way out of another process: as a message, and raised again."""

from traceback import format_exception

from agora_core.runner.failures import RedactedTraceback, message_of
from agora_core.runner.isolated.messages import Failed, sendable
from agora_core.spec import errors
from agora_core.spec.redaction import redact
from agora_core.spec.runs import RunSummary

_KNOWN = {
    name: one
    for name, one in vars(errors).items()
    if isinstance(one, type) and issubclass(one, errors.AgoraError | errors.ConservationError)
}


def failure_of(error: BaseException, counts: RunSummary | None) -> Failed:
    """Return what is told of *error*."""
    kind = type(error)
    known_as = next((one.__name__ for one in kind.__mro__ if _KNOWN.get(one.__name__) is one), "")
    return Failed(
        kind=sendable(kind.__name__),
        module=sendable(kind.__module__),
        known_as=known_as,
        message=sendable(redact(message_of(error))),
        traceback=sendable(redact("".join(format_exception(error)))),
        counts=counts,
    )


def raised(failure: Failed) -> Exception:
    """Return the error that *failure* tells of: of its name, and one of Agora's own where it was."""
    base: type[Exception] = _KNOWN.get(failure.known_as, Exception)
    kind = type(failure.kind, (base,), {"__module__": failure.module, "__init__": Exception.__init__})
    error: Exception = kind(failure.message)
    error.__cause__ = RedactedTraceback(f'\n"""\n{failure.traceback}"""')
    return error
