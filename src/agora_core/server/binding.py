"""Takes the port before anything runs, or says who has it and what to do."""

import errno
import socket
from contextlib import ExitStack
from ipaddress import ip_address

from agora_core.spec.errors import ConfigError

_Address = tuple[socket.AddressFamily, tuple[str, int, *tuple[int, ...]]]

_NOT_HERE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


def bind(host: str, port: int, *, guarded: bool, backlog: int = 64) -> list[socket.socket]:
    """Return listening sockets, one for each address that *host* stands for; port 0 picks one for all of them.

    Unless *guarded* (by a token, or by the user's word that none is needed) only loopback addresses are taken.
    """
    if not 0 <= port <= 65_535:
        raise ConfigError(f"health_port must be between 0 and 65535, not {port}")
    addresses = _resolve(host, port)
    if not guarded and not all(ip_address(address[0]).is_loopback for _, address in addresses):
        raise ConfigError(
            f"health_host {host!r} can be reached by other machines, so the health server needs a token: set "
            "health_auth_token or AGORA_HEALTH_AUTH_TOKEN, or say allow_unauthenticated=True"
        )
    return _bind_all(addresses, host, port, backlog)


def url(host: str, port: int) -> str:
    """Return the address as a browser takes it."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _resolve(host: str, port: int) -> list[_Address]:
    if not host:
        raise ConfigError("health_host is empty; use '127.0.0.1', or '0.0.0.0' for all addresses of this machine")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, ValueError) as error:  # names that are too long or hold a NUL are ValueErrors
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(
            f"health_host {host!r} is no address: {reason}; use '127.0.0.1', or '0.0.0.0' for all addresses"
        ) from error
    kept = [(family, address) for family, _, _, _, address in found if family in (socket.AF_INET, socket.AF_INET6)]
    return list(dict.fromkeys(kept))  # type: ignore[arg-type]  # of these families every address is (str, int, ...)


def _bind_all(addresses: list[_Address], host: str, port: int, backlog: int) -> list[socket.socket]:
    bound: list[socket.socket] = []
    refused: OSError | None = None
    with ExitStack() as undo:
        for family, (name, _, *rest) in addresses:
            dual = family is socket.AF_INET6 and name == "::" and socket.has_dualstack_ipv6()
            try:
                sock = socket.create_server((name, port, *rest), family=family, backlog=backlog, dualstack_ipv6=dual)
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise ConfigError(_taken(host, port, error)) from error
                # `localhost` names ::1 also where the machine has no IPv6; its other addresses will do.
                refused = error
                continue
            bound.append(undo.enter_context(sock))
            port = sock.getsockname()[1]
        if not bound:
            raise ConfigError(f"health_host {host!r} is not an address of this machine") from refused
        undo.pop_all()
    return bound


def _taken(host: str, port: int, error: OSError) -> str:
    where = f"the health server cannot listen on {host}:{port}"
    if error.errno == errno.EADDRINUSE:
        return (
            f"{where}: the port is taken; `ss -ltnp 'sport = :{port}'` or `lsof -i :{port}` shows by whom; "
            "stop that, or choose another health_port (0 picks a free one)"
        )
    if error.errno == errno.EACCES:
        return f"{where}: this user may not; choose a health_port of 1024 or more"
    return f"{where}: {error.strerror or error}"
