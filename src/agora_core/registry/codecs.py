"""The codecs that plugins offer for dead letters, built: all of them, since any record may need any of them."""

from collections.abc import Callable
from typing import TypeVar

from agora_core.flow.delivery_config import check_codec
from agora_core.registry.catalogue import Kind, Offered
from agora_core.registry.explain import told_with_place
from agora_core.registry.plugins import Plugins
from agora_core.spec.errors import AgoraError, ConfigError, DeploymentError, PluginError
from agora_core.spec.offers import Choice
from agora_core.spec.records import Record
from agora_core.spec.typed_values import RecordCodec

HOOK = "agora_dlq_codecs"

Result = TypeVar("Result")


def record_codecs(plugins: Plugins) -> tuple[RecordCodec, ...]:
    """Return every codec that is offered; raise `DeploymentError` with all that keeps one from being used.

    Without its codec a record would be kept as a mere description, and a kept one could not be read: so one that is
    broken stops the start. A plugin whose extra is not installed offers none, and stops nobody.
    """
    problems = [str(problem) for problem in plugins.problems if problem.hook == HOOK]
    codecs: dict[str, OfferedCodec] = {}
    rivals = {id(one) for same in plugins.catalogue.duplicates() for one in same}
    for one in plugins.catalogue.offers(Kind.RECORD_CODEC):
        if id(one) in rivals:
            continue
        try:
            codec = _built(plugins, one)
        except AgoraError as error:
            problems.append(str(error))
            continue
        twin = codecs.setdefault(codec.name, codec)
        if twin is not codec:
            owners = f"{twin.distribution} (record codec {twin.offer!r}) and {codec.distribution} ({codec.offer!r})"
            problems.append(f"two record codecs keep values under the name {codec.name!r}: {owners}; uninstall one")
    if problems:
        raise DeploymentError(problems)
    return tuple(codecs.values())


def _built(plugins: Plugins, one: Offered) -> "OfferedCodec":
    codec = plugins.catalogue.build(Kind.RECORD_CODEC, Choice(one.offer.name))
    try:
        check_codec(codec)
    except ConfigError as error:
        raise PluginError(
            f"record codec {one.offer.name!r} of {one.distribution} cannot be used: {error}",
            plugin=one.plugin,
            hook=one.hook,
        ) from error
    return OfferedCodec(codec, one)


class OfferedCodec:
    """A plugin's codec. What it raises names the plugin's distribution."""

    def __init__(self, codec: RecordCodec, offered: Offered) -> None:
        self.name = codec.name
        self.offer = offered.offer.name
        self.distribution = offered.distribution
        self._codec = codec
        self._offered = offered

    def __repr__(self) -> str:
        return f"OfferedCodec({self.name!r} of {self.distribution})"

    def encode(self, value: Record, /) -> bytes | None:
        """Return *value* as bytes, or None."""
        return self._called("encode", lambda: self._codec.encode(value))

    def decode(self, payload: bytes, /) -> Record:
        """Return the value that *payload* was made of; raise `ValueError` when it is something else."""
        return self._called("decode", lambda: self._codec.decode(payload))

    def same(self, one: Record, other: Record, /) -> bool:
        """Return whether two values are the same."""
        return self._called("same", lambda: self._codec.same(one, other))

    def _called(self, method: str, call: Callable[[], Result]) -> Result:
        try:
            return call()
        except (Exception, SystemExit) as error:  # a plugin call: whatever it raises is named
            if method == "decode" and isinstance(error, ValueError):
                raise  # that is its promise
            reason = told_with_place(error, type(self._codec).__module__)
            raise PluginError(
                f"record codec {self.name!r} of {self.distribution} failed in {method}(): {reason}",
                plugin=self._offered.plugin,
                hook=self._offered.hook,
            ) from error
