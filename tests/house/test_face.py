"""The face: each module's table, its stub and its `__all__` say the same, and importing one costs nothing."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

FACE = Path(__file__).parents[2] / "src" / "agora"


def is_late(path: Path) -> bool:
    return not path.stem.startswith("__main") and "_PLACES = {" in path.read_text(encoding="utf-8")


def module_name(path: Path) -> str:
    return "agora" if path.stem == "__init__" else f"agora.{path.stem}"


MODULES = {module_name(path): path for path in sorted(FACE.glob("*.py")) if is_late(path)}
MODULES["agora_core.spec"] = FACE.parent / "agora_core" / "spec" / "__init__.py"


def stub(name: str) -> ast.Module:
    return ast.parse(MODULES[name].with_suffix(".pyi").read_text(encoding="utf-8"))


def test_every_module_of_the_face_is_late():
    """The face has these six modules, beside the program itself."""
    assert set(MODULES) - {"agora_core.spec"} == {
        "agora",
        "agora.errors",
        "agora.plugins",
        "agora.runner",
        "agora.steps",
        "agora.testing",
    }
    assert {path.stem for path in FACE.glob("*.py")} - {path.stem for path in MODULES.values()} == {"__main__"}


@pytest.mark.parametrize("name", MODULES)
def test_the_stub_imports_what_the_table_says(name):
    """`from … import X as X` for each row of the table and nothing else: type checkers see what Python does."""
    imports = [node for node in stub(name).body if isinstance(node, ast.ImportFrom)]
    aliases = [(alias, node.module) for node in imports for alias in node.names]

    assert {alias.name: module for alias, module in aliases} == import_module(name)._PLACES
    assert len(aliases) == len(import_module(name)._PLACES)
    assert all(alias.asname == alias.name for alias, _ in aliases)


@pytest.mark.parametrize("name", MODULES)
def test_the_lists_of_names_agree(name):
    """The table, `__all__`, the stub's `__all__` and `dir()` have the same names, each once, in order."""
    module = import_module(name)
    [listed] = [node.value for node in stub(name).body if isinstance(node, ast.Assign)]

    assert module.__all__ == sorted(module._PLACES) == dir(module)
    assert sorted(ast.literal_eval(listed)) == module.__all__


@pytest.mark.parametrize("name", MODULES)
def test_stub_and_module_have_one_docstring(name):
    """What the module says of itself stands in both."""
    assert ast.get_docstring(stub(name)) == ast.get_docstring(ast.parse(MODULES[name].read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("name", "public"), [(name, public) for name in MODULES for public in import_module(name)._PLACES]
)
def test_every_name_is_there(name, public):
    """What the table promises can be had, and a class is at home in the module that it names."""
    module = import_module(name)
    home = module._PLACES[public]

    value = getattr(module, public)

    assert value is getattr(import_module(home), public)
    assert not isinstance(value, type) or value.__module__ in {home, "typing"}


@pytest.mark.parametrize("name", MODULES)
def test_a_name_that_is_not_there_is_an_attribute_error(name):
    """As of any module, so that `hasattr` and `from … import` behave."""
    with pytest.raises(AttributeError, match=f"module '{name}' has no attribute 'Nothing'"):
        import_module(name).Nothing


@pytest.mark.parametrize("name", MODULES)
def test_importing_a_module_of_the_face_imports_no_room(name):
    """The rooms come when a name is asked for: until then there is the table alone."""
    code = f"import sys, {name}; print(sorted(one for one in sys.modules if one.startswith('agora_core')))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "['agora_core', 'agora_core.spec', 'agora_core.spec.late_names']"


def test_what_plugins_need_comes_without_the_rooms_above_the_spec():
    """A plugin's hook module costs a worker the spec alone; only a store of records asks for their codec and rows."""
    places = import_module("agora.plugins")._PLACES.values()

    rooms = {place.rpartition(".")[0] for place in places}
    assert rooms == {"agora_core.spec", "agora_core.codec", "agora_core.builtin"}
    assert {place.rpartition(".")[2] for place in places if "spec" not in place} == {
        "records",
        "dlq_rows",
        "letter_rows",
        "sqlite_moments",
        "state_rows",
    }
