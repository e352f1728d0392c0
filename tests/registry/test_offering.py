"""Offers are collected from all plugins; a hook that raises or answers nonsense is listed, and the others go on."""

import re

import pytest

from agora_core.registry.catalogue import Kind
from agora_core.registry.discovery import Found
from agora_core.registry.hook_check import new_manager
from agora_core.registry.offering import HOOKS
from agora_core.registry.plugins import assemble
from agora_core.spec.errors import DuplicateOfferError, MissingPluginError
from agora_core.spec.markers import hookimpl
from agora_core.spec.offers import Choice

NEWS = sorted(name for name in vars(new_manager().hook) if name.startswith("agora_") and name not in HOOKS)

HEAD = """
from agora_core.spec.markers import hookimpl
from agora_core.spec.offers import Offer, late

"""


def hook(name: str, body: str, arguments: str = "") -> str:
    return f"{HEAD}@hookimpl\ndef {name}({arguments}):\n    {body}\n"


BROKEN = [
    ("raise ValueError('boom')", "raised ValueError: boom ("),
    ("raise SystemExit(2)", "raised SystemExit: 2 ("),
    ("import no_such_module_here", "needs the module 'no_such_module_here', which is not installed"),
    (
        "late('x:y', needs=['no_such_module_here'])",
        "needs the module 'no_such_module_here', which is not installed",
    ),
    ("return None", "it returned None, not a list of offers"),
    ("return 7", "it returned 7, not a list of offers"),
    ("return 'sinks'", "it returned 'sinks', not a list of offers"),
    ("return Offer('x', 'y', dict)", "not a list of offers"),
    ("return ['x']", "returned 'x' in place of an Offer"),
    ("return [Offer('no good', '', dict)]", "offers the name 'no good'; names are 1 to 128"),
    ("return [Offer(None, '', dict)]", "offers the name None"),
    ("return [Offer('x', None, dict)]", "with the summary None, which is no text"),
    ("return [Offer('x', '', 'dict')]", "with 'dict' to build it, which cannot be called"),
    ("return (Offer(str(n), '', dict) for n in iter(int, 1))", "it returned more than 1000 offers"),
    ("async def x(): pass\n    return x()", "it is async; hooks are plain functions"),
]


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_that_breaks_its_promise_is_a_problem(install, assembled, name):
    """Each offer hook, each way to be wrong: plugin, hook and distribution are named, and the good plugin offers."""
    plugins = {f"bad{number}": hook(name, body) for number, (body, _) in enumerate(BROKEN)}
    plugins["fine"] = hook(name, "return [Offer('fine', 'all is well', dict)]")
    install(points="\n".join(f"{plugin} = {plugin}" for plugin in plugins), extras=("bad2",), **plugins)

    found = assembled()

    problems = {problem.plugin: problem for problem in found.problems if problem.distribution == "agora-fake"}
    for number, (_, reason) in enumerate(BROKEN):
        problem = problems.pop(f"bad{number}")
        assert (problem.hook, problem.version) == (name, "2.1")
        assert problem.reason.startswith(f"{name} ")
        assert reason in problem.reason
        assert str(problem) == f"plugin 'bad{number}' of agora-fake: {problem.reason}; {problem.remedy}"
    assert not problems
    assert "fine" in [offered.offer.name for offered in found.catalogue.offers(HOOKS[name])]


def test_what_a_hook_needs_is_told_with_the_pip_line(install, assembled):
    """The extra of the plugin's name brings it, at the import in the hook as at the plugin's own."""
    install(extras=("fake",), fake_plugin=hook("agora_sinks", "import no_such_module_here"))

    (problem,) = [problem for problem in assembled().problems if problem.plugin == "fake"]

    assert problem.remedy == "pip install 'agora-fake[fake]'"


def test_the_good_offers_of_a_hook_stay_beside_a_bad_one(install, assembled):
    """One bad offer of a list costs only itself."""
    install(fake_plugin=hook("agora_sinks", "return [Offer('good', '', dict), 3]"))

    plugins = assembled()

    assert "good" in [offered.offer.name for offered in plugins.catalogue.offers(Kind.SINK)]
    assert [problem.reason for problem in plugins.problems] == ["agora_sinks returned 3 in place of an Offer"]


def test_what_a_broken_hook_should_have_offered_is_missing_with_its_reason(install, assembled):
    """Choosing the part by the name of its plugin tells why it is not there."""
    install(fake_plugin=hook("agora_sinks", "raise ValueError('boom')"))

    with pytest.raises(MissingPluginError, match="sink 'fake' is not available: agora_sinks raised ValueError: boom"):
        assembled().catalogue.find(Kind.SINK, Choice("fake"))


def test_one_offer_by_two_distributions_is_refused_when_it_is_chosen(install, assembled):
    """Both are named; nothing else suffers."""
    install("agora-one", "one = one_plugin", one_plugin=hook("agora_sinks", "return [Offer('same', '', dict)]"))
    install("agora-two", "two = two_plugin", two_plugin=hook("agora_sinks", "return [Offer('same', '', dict)]"))

    plugins = assembled()

    with pytest.raises(DuplicateOfferError, match=r"agora-(one|two) and agora-(one|two)"):
        plugins.catalogue.find(Kind.SINK, Choice("same"))
    assert sorted(problem.distribution for problem in plugins.problems) == ["agora-one", "agora-two"]
    assert {problem.remedy for problem in plugins.problems} == {"uninstall one of them"}


def test_one_offer_by_two_plugins_of_a_distribution_names_the_plugins(install, assembled):
    """Where the distribution is the same, the plugins tell the two apart."""
    code = hook("agora_sinks", "return [Offer('same', '', dict)]")
    install(points="a = fake_plugin\nb = other_plugin", fake_plugin=code, other_plugin=code)

    with pytest.raises(DuplicateOfferError, match=re.escape("agora-fake (plugin 'a')")) as caught:
        assembled().catalogue.find(Kind.SINK, Choice("same"))

    assert len(caught.value.distributions) == 2


def test_a_plugin_that_pluggy_refuses_leaves_nothing_behind():
    """pluggy registers the hooks before the one it finds fault with; none of them is called."""

    class Half:
        def __init__(self, called):
            self.called = called

        @hookimpl
        def agora_run_finished(self, run):
            self.called.append(run)

        @hookimpl
        def agora_run_started(self, wrong):
            self.called.append(wrong)

    class Fine(Half):
        agora_run_started = None

    called, fine = [], []
    plugins = assemble(
        [
            Found(name=name, distribution=name, version="1", plugin=plugin)
            for name, plugin in [("fine", Fine(fine)), ("half", Half(called))]
        ]
    )

    plugins.news.tell("agora_run_finished", run="run")

    assert (called, fine) == ([], ["run"])
    assert [missing.name for missing in plugins.missing] == ["half"]
    assert plugins.missing[0].reason.startswith("cannot be registered: PluginValidationError: ")


def test_two_entry_points_for_one_module_are_one_plugin(install, assembled):
    """The second is missing with the reason; its hooks are not called twice."""
    install(points="a = fake_plugin\nb = fake_plugin", fake_plugin=hook("agora_sinks", "return [Offer('x', '', dict)]"))

    plugins = assembled()

    assert [missing.name for missing in plugins.missing if missing.distribution == "agora-fake"] == ["b"]
    assert plugins.catalogue.find(Kind.SINK, Choice("x")).plugin == "a"


@pytest.mark.parametrize("name", NEWS)
@pytest.mark.parametrize("fault", ["raise ValueError('boom')", "raise SystemExit(3)", "return (lambda: x)()"])
def test_a_plugin_that_raises_at_news_silences_nobody(install, assembled, caplog, name, fault):
    """Each news hook: the plugin is logged with its hook and distribution, and the next one is told all the same."""
    (argument,) = getattr(new_manager().hook, name).spec.argnames
    install(
        points="fake = fake_plugin\nfine = fine_plugin",
        fake_plugin=hook(name, fault, argument),
        fine_plugin="TOLD = []\n" + hook(name, f"TOLD.append({argument})", argument),
    )
    plugins = assembled()
    value = object()

    plugins.news.tell(name, **{argument: value})

    (fine,) = [found.plugin for found in plugins.found if found.name == "fine"]
    assert [value] == fine.TOLD
    (record,) = caplog.records
    assert (record.plugin, record.hook, record.distribution) == ("fake", name, "agora-fake")
    assert record.exc_info is None


def test_news_for_nobody_are_told_in_silence(assembled, caplog):
    """A hook without listeners does nothing."""
    assembled().news.tell("agora_run_started", run=object())

    assert not caplog.records


def test_an_async_answer_to_news_is_closed_and_logged(install, assembled, caplog):
    """A hook that gives a coroutine would never be awaited; it is told instead of warned about."""
    install(fake_plugin=HEAD + "async def later(): pass\n@hookimpl\ndef agora_run_started(run):\n    return later()\n")

    assembled().news.tell("agora_run_started", run=object())

    assert "it is async" in caplog.records[0].error
