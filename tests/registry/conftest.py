"""Fake distributions: real directories on `sys.path`, with the files that pip would write."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from agora_core.registry.claims import DISTRIBUTION
from agora_core.registry.discovery import Found, Missing, discover
from agora_core.registry.plugins import Plugins, assemble

Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a distribution: its name, its entry points, its modules by name, its extras."""
    before = set(sys.modules)

    def _install(
        name: str = "agora-fake",
        points: str = "fake = fake_plugin",
        *,
        version: str = "2.1",
        extras: tuple[str, ...] = (),
        site: str = "site",
        **modules: str,
    ) -> Path:
        root = tmp_path / site
        info = root / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        provided = "".join(f"Provides-Extra: {extra}\n" for extra in extras)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{provided}\nName: not-this-one\n",
            encoding="utf-8",
        )
        (info / "entry_points.txt").write_text(f"[agora]\n{dedent(points)}\n", encoding="utf-8")
        for module, code in modules.items():
            (root / f"{module}.py").write_text(dedent(code), encoding="utf-8")
        if str(root) not in sys.path:
            monkeypatch.syspath_prepend(str(root))
        return root

    yield _install
    for module in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[module], "__file__", "")):
            del sys.modules[module]


@pytest.fixture
def foreign() -> Callable[[], list[Found | Missing]]:
    """Discover, and return what is not Agora's own."""
    return lambda: [plugin for plugin in discover() if not plugin.distribution.startswith(DISTRIBUTION)]


@pytest.fixture
def assembled() -> Callable[[], Plugins]:
    """Discover everything anew, as `installed` does once."""
    return lambda: assemble(discover())
