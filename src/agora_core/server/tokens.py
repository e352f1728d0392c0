"""Bearer tokens: where they come from, and which are refused before anything starts."""

import hmac
import logging
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from agora_core.spec.errors import ConfigError

ARGUMENT = "health_auth_token"
VARIABLE = "AGORA_HEALTH_AUTH_TOKEN"
FILE_VARIABLE = "AGORA_HEALTH_AUTH_TOKEN_FILE"
MIN_CHARACTERS = 8
MAX_BYTES = 4096
"""Half of what a request's head may have, so that a token that is accepted can be sent."""
MAX_TOKENS = 2

_FILE_BYTES = MAX_TOKENS * (MAX_BYTES + 2)

log = logging.getLogger("agora.server")


@dataclass(frozen=True, slots=True, repr=False)
class Token:
    """A bearer token, of which only the digest is kept."""

    digest: bytes

    @classmethod
    def of(cls, text: str, origin: str) -> "Token":
        """Return the token *text*, or raise ConfigError that names its *origin* and never the text."""
        problem = _problem(text)
        if problem:
            raise ConfigError(f"{origin}: the token {problem}")
        return cls(sha256(text.encode()).digest())

    def matches(self, presented: str) -> bool:
        """Whether *presented* is this token; takes the same time whatever it is."""
        # aiohttp gives bytes of a header that are no UTF-8 as lone surrogates; bytes of digests compare in any case.
        return hmac.compare_digest(self.digest, sha256(presented.encode(errors="surrogateescape")).digest())

    def __repr__(self) -> str:
        return "***"


def load_tokens(argument: object, environ: Mapping[str, str]) -> tuple[Token, ...]:
    """Return the tokens to accept: of *argument*, else of the environment, else none.

    *argument* is a token or a sequence of at most two, of which either is accepted while clients change over;
    None asks `AGORA_HEALTH_AUTH_TOKEN`, then the file named by `AGORA_HEALTH_AUTH_TOKEN_FILE`, one token a line.
    Whatever is set and unusable raises ConfigError: an empty token is a mistake, never "no token".
    """
    if argument is not None:
        return _from_argument(argument)
    if VARIABLE in environ:
        return (Token.of(environ[VARIABLE], VARIABLE),)
    if FILE_VARIABLE in environ:
        return _from_file(environ[FILE_VARIABLE])
    return ()


def _problem(text: str) -> str:
    """Return what is wrong with the token *text*, or an empty string."""
    if not text:
        return "is empty; set one of at least 8 characters, or leave it unset"
    if text != text.strip():
        return "begins or ends with white space, which no client can send"
    if not text.isprintable():
        return "has a control character, a line break or bytes that are no text"
    if len(text) < MIN_CHARACTERS:
        return f"has {len(text)} characters; give at least {MIN_CHARACTERS}"
    if len(text.encode()) > MAX_BYTES:
        return f"is longer than {MAX_BYTES} bytes, so that no request could carry it"
    return ""


def _from_argument(argument: object) -> tuple[Token, ...]:
    given = [argument] if isinstance(argument, str | Token) else argument
    if not isinstance(given, Sequence) or isinstance(given, bytes | bytearray):
        raise ConfigError(f"{ARGUMENT} must be a str or a sequence of two, not {type(argument).__name__}")
    return _counted([_from_one(one) for one in given], ARGUMENT)


def _from_one(one: object) -> Token:
    if isinstance(one, Token):
        return one
    if not isinstance(one, str):
        raise ConfigError(f"{ARGUMENT} must hold str, not {type(one).__name__}")
    return Token.of(one, ARGUMENT)


def _from_file(name: str) -> tuple[Token, ...]:
    if not name:
        raise ConfigError(f"{FILE_VARIABLE} is empty; name a file that holds the token, or leave it unset")
    origin = f"{FILE_VARIABLE}={name}"
    lines = (line.strip() for line in _read(Path(name), origin).splitlines())
    return _counted([Token.of(line, origin) for line in lines if line], origin)


def _read(path: Path, origin: str) -> str:
    try:
        with path.open("rb") as file:
            mode = path.stat().st_mode
            content = file.read(_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{origin}: cannot read the token: {reason}") from error
    if mode & stat.S_IWOTH and stat.S_ISREG(mode):
        raise ConfigError(f"{origin}: everybody may write this file, and so choose the token; run chmod o-w on it")
    if mode & stat.S_IROTH and stat.S_ISREG(mode):
        # Not refused: secrets that Kubernetes and Docker mount are world-readable unless one asks otherwise.
        log.warning("token file is readable by every user of this machine", extra={"path": str(path)})
    if len(content) > _FILE_BYTES:
        raise ConfigError(f"{origin}: is larger than {_FILE_BYTES} bytes, so it is no token file")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Not chained: the error holds the file's bytes, and with them perhaps the token.
        raise ConfigError(f"{origin}: the token is not UTF-8 text") from None


def _counted(tokens: list[Token], origin: str) -> tuple[Token, ...]:
    if not tokens:
        raise ConfigError(f"{origin}: holds no token; put one of at least {MIN_CHARACTERS} characters there")
    if len(tokens) > MAX_TOKENS:
        raise ConfigError(f"{origin}: holds {len(tokens)} tokens; at most {MAX_TOKENS} are accepted at a time")
    return tuple(tokens)
