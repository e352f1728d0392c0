"""The version of Agora that keeps a dead letter, as its row remembers it."""

from functools import cache

from importlib_metadata import PackageNotFoundError, distribution

_DISTRIBUTION = "agora-etl"
_HEADER = "Version:"
_UNKNOWN = "0+unknown"


@cache
def installed_version() -> str:
    """Return the version of the installed distribution."""
    try:
        # The headers end where the description begins. Read by lines, since the mail parser costs 20 ms.
        head = (distribution(_DISTRIBUTION).read_text("METADATA") or "").partition("\n\n")[0]
    except PackageNotFoundError:
        return _UNKNOWN
    named = (line.removeprefix(_HEADER).strip() for line in head.splitlines() if line.startswith(_HEADER))
    return next(named, _UNKNOWN)
