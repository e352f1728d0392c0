"""The version of the installed distribution."""

from importlib_metadata import PackageNotFoundError, version

DISTRIBUTION = "agora-etl"


def _installed_version() -> str:
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "0+unknown"


__version__ = _installed_version()
