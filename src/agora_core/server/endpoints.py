"""Mounts exporters at their paths, and leaves out those that cannot be."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from agora_core.spec.errors import ConfigError
from agora_core.spec.health import HealthExporter
from agora_core.spec.redaction import redact

_PATH = re.compile(r"/[A-Za-z0-9._~/-]{0,127}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """An exporter under the path that it was mounted at."""

    path: str
    needs_token: bool
    exporter: HealthExporter
    name: str
    """The exporter's class, as `module:qualified.name`, for the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """What is served by path, and in *disabled* the name of each exporter that is not, with the reason."""

    by_path: dict[str, Endpoint]
    disabled: tuple[tuple[str, str], ...]


def mount(exporters: Iterable[HealthExporter]) -> Endpoints:
    """Mount *exporters*; of two at one path the first stays, and nothing that one does harms another."""
    by_path: dict[str, Endpoint] = {}
    disabled = []
    for exporter in exporters:
        name = f"{type(exporter).__module__}:{type(exporter).__qualname__}"
        try:
            endpoint = _endpoint(exporter, name)
            if endpoint.path in by_path:
                raise ConfigError(f"{endpoint.path!r} is already served by {by_path[endpoint.path].name}")
        # A border: asking a plugin for its path is a plugin call, and one that raises must not keep others away.
        except Exception as error:  # noqa: BLE001  # it is kept, as the reason
            reason = str(error) if isinstance(error, ConfigError) else redact(f"{type(error).__name__}: {error}")
            disabled.append((name, reason))
            continue
        by_path[endpoint.path] = endpoint
    return Endpoints(by_path=by_path, disabled=tuple(disabled))


def _endpoint(exporter: HealthExporter, name: str) -> Endpoint:
    path: object = exporter.path
    if not isinstance(path, str) or not _PATH.fullmatch(path):
        raise ConfigError(f"its path must be a slash and letters, digits or ._~/-, at most 128 in all, not {path!r}")
    if not callable(exporter.export):
        raise ConfigError("its export cannot be called")
    # Only a plain False opens an endpoint to everyone: what is unclear stays shut.
    return Endpoint(path=path, needs_token=exporter.needs_token is not False, exporter=exporter, name=name)
