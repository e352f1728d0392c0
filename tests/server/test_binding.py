"""Taking the port: which addresses, and what is said of those that cannot be had."""

import errno
import socket
from contextlib import ExitStack, closing

import pytest

from agora_core.server import binding
from agora_core.server.binding import bind, url
from agora_core.spec.errors import ConfigError


def bound(host, port=0, *, guarded=False):
    with ExitStack() as stack:
        sockets = [stack.enter_context(closing(sock)) for sock in bind(host, port, guarded=guarded)]
        return [sock.getsockname() for sock in sockets]


def test_port_zero_picks_one_for_all_addresses():
    """`localhost` may be two addresses; they get one port."""
    ports = {address[1] for address in bound("localhost")}

    assert len(ports) == 1
    assert ports != {0}


def test_a_taken_port_is_named_with_what_to_do():
    """The message has host, port, how to find the owner, and the way out; no socket stays open."""
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigError) as refused:
            bind("127.0.0.1", port, guarded=True)

    message = str(refused.value)
    assert f"127.0.0.1:{port}" in message
    assert "ss -ltnp" in message
    assert "choose another health_port" in message


@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("", "is empty"),
        ("no.such.host.invalid", "is no address"),
        ("999.1.1.1", "is no address"),
        ("a" * 300, "is no address"),
        ("nul\0byte", "is no address"),
        ("192.0.2.1", "not an address of this machine"),
    ],
)
def test_a_bad_host_is_refused(host, says):
    """A host that is no address, or another machine's, is refused in a sentence."""
    with pytest.raises(ConfigError, match=says):
        bind(host, 0, guarded=True)


@pytest.mark.parametrize("port", [-1, 65_536, 70_000])
def test_a_port_out_of_range_is_refused(port):
    """Ports are 0 to 65535."""
    with pytest.raises(ConfigError, match="between 0 and 65535"):
        bind("127.0.0.1", port, guarded=True)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_an_open_bind_needs_a_guard(host):
    """What others can reach needs a token or the user's word; the sentence says which."""
    with pytest.raises(ConfigError, match="needs a token") as refused:
        bind(host, 0, guarded=False)

    assert "allow_unauthenticated=True" in str(refused.value)


def test_a_guarded_open_bind_is_taken():
    """With a guard every address may be taken."""
    assert [address[0] for address in bound("0.0.0.0", guarded=True)] == ["0.0.0.0"]


def refusing(number):
    def create_server(*_args, **_kwargs):
        raise OSError(number, "refused by the test")

    return create_server


@pytest.mark.parametrize(("number", "says"), [(errno.EACCES, "1024 or more"), (errno.EMFILE, "refused by the test")])
def test_what_the_system_refuses_is_said(monkeypatch, number, says):
    """A privileged port has its own advice, anything else the system's words."""
    monkeypatch.setattr(binding.socket, "create_server", refusing(number))

    with pytest.raises(ConfigError, match=says):
        bind("127.0.0.1", 80, guarded=True)


def test_an_address_that_this_machine_lacks_is_left_out(monkeypatch):
    """Where `localhost` names ::1 and there is no IPv6, the other address is enough."""
    real = socket.create_server
    found = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 0, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
    ]

    def create_server(address, **options):
        if address[0] == "::1":
            raise OSError(errno.EADDRNOTAVAIL, "no IPv6")
        return real(address, **options)

    monkeypatch.setattr(binding.socket, "getaddrinfo", lambda *_args, **_kwargs: found)
    monkeypatch.setattr(binding.socket, "create_server", create_server)

    assert [address[0] for address in bound("localhost")] == ["127.0.0.1"]


def test_a_url_brackets_ipv6():
    """Addresses with colons stand in brackets."""
    assert (url("127.0.0.1", 80), url("::1", 80)) == ("http://127.0.0.1:80", "http://[::1]:80")
