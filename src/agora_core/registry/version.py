"""The version of the installed distribution."""

from importlib_metadata import PackageNotFoundError, distribution

from agora_core.registry.claims import DISTRIBUTION
from agora_core.registry.headers import header


def _installed_version() -> str:
    try:
        return header(distribution(DISTRIBUTION), "Version") or "0+unknown"
    except PackageNotFoundError:
        return "0+unknown"


__version__ = _installed_version()
