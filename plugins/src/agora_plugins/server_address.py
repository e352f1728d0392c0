"""A server's address, and its errors, as they may be shown: of a URL with credentials, only host, port and database."""

import re
from urllib.parse import urlsplit

from agora.plugins import ConfigError, redact

_SHOWABLE = re.compile(r"[A-Za-z0-9_.,:/\[\]-]*")


def checked_url(option: str, url: object, *, schemes: tuple[str, ...], written: str) -> str:
    """Return *url* when it is one of *schemes*; the errors say nothing of what it holds, since that may be a secret."""
    if not isinstance(url, str):
        raise ConfigError(f"{option} must be a text such as {written}, not a {type(url).__name__}")
    scheme, found, rest = url.partition("://")
    if not found or scheme not in schemes:
        raise ConfigError(
            f"{option} does not begin with {' or '.join(f'{one}://' for one in schemes)}: write {written}"
        )
    if _authority(rest).count("@") > 1:
        raise ConfigError(f"{option} has more than one '@' before its host: write one inside a password as %40")
    try:
        _ = urlsplit(url).port
    except ValueError:  # whose text quotes what stands there, and that may be half a password
        raise ConfigError(
            f"{option} cannot be read: write {written}, and '/', '#', '?' and '@' in a password as %2F, %23, %3F, %40"
        ) from None
    return url


def shown_address(url: str) -> str:
    """Return where *url* leads without its credentials and its options; an empty text where that is not sure."""
    rest = url.partition("://")[2]
    address = rest.partition("?")[0].rpartition("@")[2]
    doubtful = "@" in rest.partition("?")[2] or not _SHOWABLE.fullmatch(address)
    return "" if doubtful else address


def named(what: str, url: str) -> str:
    """Return what errors call a store: *what* it is, and where, as far as that may be told."""
    address = shown_address(url)
    return f"{what} at {address}" if address else what


def said_by(error: BaseException) -> str:
    """Return the text of *error* on one line, without what looks like a secret."""
    return " ".join(redact(str(error)).split()) or type(error).__name__


def _authority(rest: str) -> str:
    return re.split(r"[/?#]", rest, maxsplit=1)[0]
