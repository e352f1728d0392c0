"""Plugins are found, or missing with a reason and a remedy; none of them stops the others."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agora_core.registry.claims import DISTRIBUTION
from agora_core.registry.discovery import Found, Missing, discover
from agora_core.registry.version import __version__

GOOD = """
    from agora_core.spec.markers import hookimpl
    from agora_core.spec.offers import Offer

    @hookimpl
    def agora_sinks():
        return [Offer("good", "a good one", dict)]
"""


def test_a_plugin_is_found_with_its_distribution_and_version(install, foreign):
    """An entry point of the group is loaded, and says whose it is."""
    install(fake_plugin=GOOD)

    (found,) = foreign()

    assert isinstance(found, Found)
    assert (found.name, found.distribution, found.version) == ("fake", "agora-fake", "2.1")
    assert found.plugin is sys.modules["fake_plugin"]


def test_built_ins_come_the_same_way():
    """The built-in schedules are a plugin of the distribution itself."""
    found = [plugin for plugin in discover() if plugin.name == "schedules"]

    assert [plugin.distribution for plugin in found] == [DISTRIBUTION]
    assert found[0].version == __version__


@pytest.mark.parametrize(
    ("code", "reason", "remedy"),
    [
        (
            "import no_such_module_anywhere",
            "needs the module 'no_such_module_anywhere', which is not installed",
            "pip install 'agora-fake[fake]'",
        ),
        ("raise ValueError('boom')", "cannot be imported: ValueError: boom ({file}:1)", "upgrade agora-fake"),
        ("import json\njson.loads('{')", "cannot be imported: JSONDecodeError: ", "({file}:2)"),
        ("\ndef broken(:\n", "cannot be imported: SyntaxError: ", "({file}:2)"),
        ("import sys\nsys.exit(3)", "exits while it is imported: SystemExit: 3 ({file}:2)", "upgrade agora-fake"),
        ("raise BaseException", "cannot be imported: BaseException ({file}:1)", "upgrade"),
        ("import fake_plugin.inner", "its module", "does not exist"),
        (
            "raise RuntimeError('postgres://me:hunter2@db failed')",
            "RuntimeError: postgres://me:***@db failed",
            "upgrade",
        ),
        ("1 + 1", "implements no hook; mark its functions with @hookimpl", "mend the plugin, or uninstall agora-fake"),
    ],
)
def test_a_plugin_that_cannot_be_loaded_is_missing_with_reason_and_remedy(install, foreign, code, reason, remedy):
    """Whatever happens at import is told in one line, and the plugin beside it is found."""
    root = install(
        points="fake = fake_plugin\nother = other_plugin", extras=("fake",), fake_plugin=code, other_plugin=GOOD
    )

    missing, found = foreign()

    assert isinstance(missing, Missing)
    told = f"{missing.reason} | {missing.remedy}"
    assert reason.format(file=root / "fake_plugin.py") in told
    assert remedy.format(file=root / "fake_plugin.py") in told
    assert "\n" not in told
    assert "hunter2" not in told
    assert isinstance(found, Found)


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        ("fake = no_such_plugin_module", "its module 'no_such_plugin_module' does not exist"),
        (
            "fake = fake_plugin:nothing",
            "cannot be imported: AttributeError: module 'fake_plugin' has no attribute 'nothing'",
        ),
        ("fake = not a module!", "'not a module!' is no `module` or `module:attribute`"),
    ],
)
def test_an_entry_point_that_leads_nowhere_is_missing(install, foreign, points, reason):
    """A wrong module, attribute or syntax in the entry point is told as such."""
    install(points=points, fake_plugin=GOOD)

    (missing,) = foreign()

    assert missing.reason == reason


def test_without_a_fitting_extra_the_remedy_names_the_module(install, foreign):
    """No pip line is made up where the distribution has no extra of the plugin's name."""
    install(extras=("other",), fake_plugin="import no_such_module_anywhere")

    (missing,) = foreign()

    assert missing.remedy == "install 'no_such_module_anywhere', or uninstall agora-fake"


def test_the_extra_of_the_entry_point_itself_counts_first(install, foreign):
    """`name = module [extra]` names the extra; underscore and dash are one."""
    install(
        points="fake = fake_plugin [big_data]",
        extras=("fake", "big-data"),
        fake_plugin="import no_such_module_anywhere",
    )

    (missing,) = foreign()

    assert missing.remedy in ("pip install 'agora-fake[big-data]'", "pip install 'agora-fake[big_data]'")


def test_a_keyboard_interrupt_during_discovery_is_no_plugins_fault(install, foreign):
    """Ctrl+C while plugins load ends the program."""
    install(fake_plugin="raise KeyboardInterrupt")

    with pytest.raises(KeyboardInterrupt):
        foreign()


def test_two_distributions_with_one_name_are_both_missing_and_both_named(install, foreign):
    """A name that two claim is nobody's: neither wins by the order of `sys.path`."""
    install("agora-one", "same = one_plugin", one_plugin=GOOD)
    install("agora-two", "same = two_plugin", two_plugin=GOOD)

    plugins = foreign()

    assert [type(plugin) for plugin in plugins] == [Missing, Missing]
    assert {plugin.distribution for plugin in plugins} == {"agora-one", "agora-two"}
    assert all("agora-one" in plugin.reason and "agora-two" in plugin.reason for plugin in plugins)
    assert plugins[0].remedy == "uninstall one of them"
    assert "one_plugin" not in sys.modules


def test_agoras_own_name_wins_over_an_impostor(install):
    """A stranger's entry point `schedules` is missing, the built-in one is found."""
    install(points="schedules = fake_plugin", fake_plugin=GOOD)

    plugins = [plugin for plugin in discover() if plugin.name == "schedules"]

    assert [(type(plugin), plugin.distribution) for plugin in plugins] == [
        (Found, DISTRIBUTION),
        (Missing, "agora-fake"),
    ]
    assert "one of agora-etl's own" in plugins[1].reason


def test_the_same_distribution_twice_on_the_path_is_no_duplicate(install, foreign, monkeypatch):
    """Of two copies the first counts, as it does for imports."""
    install(site="later", version="1.0", fake_plugin=GOOD)
    install(site="first", version="2.0", fake_plugin=GOOD)

    (found,) = foreign()

    assert isinstance(found, Found)
    assert found.version == "2.0"


def test_one_distribution_that_names_an_entry_point_twice_is_told(install, foreign):
    """Two values under one name leave nothing to choose by."""
    install(points="fake = fake_plugin\nfake = other_plugin", fake_plugin=GOOD, other_plugin=GOOD)

    plugins = foreign()

    assert {plugin.reason for plugin in plugins} == {"names its entry point 'fake' twice, with different values"}


def test_a_broken_list_of_entry_points_is_told_and_stops_nobody(install, foreign):
    """A line that is none in one distribution's file leaves the other's plugins alone."""
    install("agora-broken", "this is no line", site="broken")
    install(fake_plugin=GOOD)

    broken, found = foreign()

    assert broken.distribution == "agora-broken"
    assert broken.reason.startswith("its list of entry points cannot be read")
    assert isinstance(found, Found)


def test_a_distribution_of_others_with_a_broken_file_is_passed_over(install, foreign):
    """What does not even mention the group is nobody's business here."""
    root = install(fake_plugin=GOOD)
    other = root / "other-1.dist-info"
    other.mkdir()
    (other / "entry_points.txt").write_bytes(b"\xff\xfe nonsense")
    importlib.invalidate_caches()

    (found,) = foreign()

    assert isinstance(found, Found)


def test_a_distribution_without_metadata_is_told(install, foreign):
    """An uninstall that was cut short leaves entry points behind; they are listed as unusable."""
    root = install(fake_plugin=GOOD)
    (root / "agora_fake-2.1.dist-info" / "METADATA").unlink()

    (missing,) = foreign()

    assert isinstance(missing, Missing)
    assert "cannot be read" in missing.reason


def test_a_plugin_can_be_an_instance_a_class_with_methods_or_a_namespace(install, foreign):
    """All three are found, and their hooks can be called."""
    install(
        points="a = fake_plugin:instance\nb = fake_plugin:Methods\nc = fake_plugin:Namespace",
        fake_plugin="""
            from agora_core.spec.markers import hookimpl

            class Methods:
                @hookimpl
                def agora_sinks(self):
                    return []

            class Namespace:
                @staticmethod
                @hookimpl
                def agora_sinks():
                    return []

            instance = Methods()
        """,
    )

    plugins = foreign()

    assert [plugin.name for plugin in plugins if isinstance(plugin, Found)] == ["a", "b", "c"]
    assert all(plugin.plugin.agora_sinks() == [] for plugin in plugins)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("@hookimpl\ndef agora_sink(): return []", "there is no hook named 'agora_sink'; did you mean 'agora_sinks'?"),
        ("def agora_snks(): return []", "there is no hook named 'agora_snks'; did you mean 'agora_sinks'?"),
        ("@hookimpl\ndef sinks(): return []", "has the function 'sinks', but there is no hook named 'sinks'"),
        (
            "@hookimpl(specname='agora_zinks')\ndef x(): return []",
            "no hook named 'agora_zinks'; did you mean 'agora_sinks'?",
        ),
        ("def agora_sinks(): return []", "its hook 'agora_sinks' is not marked with @hookimpl"),
        (
            "def agora_qwertyuiop(): return []",
            "there is no hook named 'agora_qwertyuiop'; known: agora_backoff_policies, ",
        ),
        (
            "@hookimpl\ndef agora_sinks(config): return []",
            "takes the argument 'config', which is not known; known: nothing",
        ),
        (
            "@hookimpl\ndef agora_run_finished(runn): pass",
            "takes the argument 'runn', which is not known; known: run; did you mean 'run'?",
        ),
        (
            "@hookimpl\ndef agora_run_finished(*, run): pass",
            "takes 'run' by keyword only; hooks are called by position",
        ),
        ("@hookimpl\nasync def agora_sinks(): return []", "its hook 'agora_sinks' is async"),
        ("@hookimpl(wrapper=True)\ndef agora_sinks(): yield", "its hook 'agora_sinks' is a wrapper"),
    ],
)
def test_a_hook_that_does_not_fit_is_told(install, foreign, code, reason):
    """A mistyped hook, wrong arguments or the wrong sort of function make the plugin missing, never silent."""
    install(fake_plugin=f"from agora_core.spec.markers import hookimpl\n{code}\n")

    (missing,) = foreign()

    assert isinstance(missing, Missing)
    assert reason in missing.reason


def test_functions_that_were_imported_and_optional_hooks_are_no_mistakes(install, foreign):
    """A spec imported for its annotation, and a hook of a later Agora marked optional, do no harm."""
    install(
        fake_plugin=GOOD.replace("\n    ", "\n")
        + "\nfrom agora_core.spec.hooks import agora_sources\n"
        + "@hookimpl(optionalhook=True)\ndef agora_of_next_year(): pass\n"
    )

    (found,) = foreign()

    assert isinstance(found, Found)


def test_listing_plugins_imports_neither_asyncio_nor_the_codecs():
    """Discovery and the catalogue stay cheap: `agora worker --list` pays for them at each start."""
    code = (
        "import sys; from agora_core.registry.plugins import installed; installed().catalogue;"
        "heavy = ('asyncio', 'msgspec', 'structlog', 'aiohttp', 'tomllib', 'email.parser');"
        "print([name for name in heavy if name in sys.modules])"
    )
    # Measuring coverage imports things of its own.
    plain = {key: value for key, value in os.environ.items() if not key.startswith("COVERAGE_")}
    done = subprocess.run([sys.executable, "-c", code], env=plain, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_without_the_distribution_itself_the_reason_is_told(monkeypatch, tmp_path: Path):
    """Run from a bare checkout, Agora says why it has no parts."""
    monkeypatch.setattr(sys, "path", [str(tmp_path)])

    (missing,) = discover()

    assert missing.name == DISTRIBUTION
    assert missing.remedy == "install Agora with pip, from its checkout"
