"""Mounting exporters: bad ones are left out with the reason, good ones are not harmed."""

import pytest

from agora_core.server.endpoints import mount


class Exporter:
    def __init__(self, path, needs_token=True):
        self.path = path
        self.needs_token = needs_token

    def export(self, status, request):
        raise NotImplementedError


class Hostile:
    needs_token = False

    @property
    def path(self):
        raise RuntimeError("password=hunter2 is in here")


class Mute:
    path = "/mute"
    needs_token = False
    export = None


@pytest.mark.parametrize("path", ["health", "", None, 7, "/with space", "/q?x=1", "/nul\0", "/ümlaut", "/" + "a" * 200])
def test_a_bad_path_disables_its_exporter(path):
    """What is no plain path is refused; its neighbours are served."""
    endpoints = mount([Exporter("/a"), Exporter(path), Exporter("/b")])

    assert list(endpoints.by_path) == ["/a", "/b"]
    assert [name.rpartition(":")[2] for name, _ in endpoints.disabled] == ["Exporter"]
    assert endpoints.disabled[0][1].startswith("its path must be a slash")


def test_of_two_at_one_path_the_first_stays():
    """A second exporter cannot take another's path; the reason names who has it."""
    first = Exporter("/a")

    endpoints = mount([first, Exporter("/a")])

    assert endpoints.by_path["/a"].exporter is first
    assert "'/a' is already served by" in endpoints.disabled[0][1]


def test_an_exporter_that_raises_is_disabled_and_its_error_redacted():
    """A property that raises, or no export at all, disable that exporter alone."""
    endpoints = mount([Hostile(), Mute(), object(), Exporter("/a")])

    assert list(endpoints.by_path) == ["/a"]
    assert "RuntimeError: password=*** is in here" in endpoints.disabled[0][1]
    assert "export cannot be called" in endpoints.disabled[1][1]
    assert "AttributeError" in endpoints.disabled[2][1]


@pytest.mark.parametrize(("given", "kept"), [(False, False), (True, True), (None, True), (0, True), ("no", True)])
def test_only_a_plain_false_opens_an_endpoint(given, kept):
    """An unclear `needs_token` keeps the endpoint shut."""
    assert mount([Exporter("/a", given)]).by_path["/a"].needs_token is kept
