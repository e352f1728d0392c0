"""Values that a config only names: imports, environment variables, files."""

import pytest

from agora_core.registry.references import LARGEST_FILE, Secret, is_reference, resolved
from agora_core.spec.errors import ConfigError


@pytest.fixture
def module(install):
    """Make a module importable."""
    return lambda code, name="user_steps": install(points="", **{name: code})


def test_an_import_gives_the_object(module):
    """Attributes of attributes too."""
    module("class Outer:\n    class Inner: ...\n")

    assert resolved({"import": "user_steps:Outer.Inner"}).__name__ == "Inner"


@pytest.mark.parametrize(
    ("code", "target", "sentence"),
    [
        ("", "user_stepz:x", "there is no module 'user_stepz' to import 'user_stepz' from"),
        ("", "user_steps.inner:x", "there is no module 'user_steps.inner' to import 'user_steps.inner' from"),
        (
            "def clean(): ...",
            "user_steps:claen",
            "'user_steps:claen': there is no 'claen' in it; did you mean 'clean'?",
        ),
        (
            "import nowhere_at_all",
            "user_steps:x",
            "module 'user_steps' cannot be imported: ModuleNotFoundError: No module ",
        ),
        (
            "\n1 / 0",
            "user_steps:x",
            "module 'user_steps' cannot be imported: ZeroDivisionError: division by zero ({file}:2)",
        ),
        ("exit(3)", "user_steps:x", "module 'user_steps' cannot be imported: SystemExit: 3 ({file}:1)"),
        ("def x(:", "user_steps:x", "module 'user_steps' cannot be imported: SyntaxError: "),
        ("", "user_steps", "import must be \"module:attribute\", not 'user_steps'"),
        ("", ":x", "import must be \"module:attribute\", not ':x'"),
        ("", "../x:y", "import must be \"module:attribute\", not '../x:y'"),
        ("", 3, "import must be text, not 3"),
    ],
)
def test_an_import_that_fails_is_told_with_the_users_file_and_line(module, code, target, sentence):
    """Whatever the user's module does, it is one sentence."""
    root = module(code)

    with pytest.raises(ConfigError) as caught:
        resolved({"import": target})

    assert str(caught.value).startswith(sentence.format(file=root / "user_steps.py"))


def test_the_environment_gives_a_secret(monkeypatch):
    """It is used like any text, and never shown."""
    monkeypatch.setenv("MY_TOKEN", "hunter2")

    secret = resolved({"env": "MY_TOKEN"})

    assert secret == "hunter2"
    assert isinstance(secret, Secret)
    assert "hunter2" not in repr({"token": secret})


@pytest.mark.parametrize("name", ["NOT_SET_ANYWHERE", "a\0b", "a=b"])
def test_a_variable_that_is_not_set_is_named(name):
    """The name is the whole complaint."""
    with pytest.raises(ConfigError) as caught:
        resolved({"env": name})

    assert str(caught.value) == f"the environment variable {name!r} is not set"


@pytest.mark.parametrize(("content", "value"), [("hunter2\n", "hunter2"), ("a\r\n", "a"), ("a\nb", "a\nb"), ("", "")])
def test_a_file_gives_its_text_without_the_last_line_break(tmp_path, content, value):
    """Editors and `echo` end files with one."""
    path = tmp_path / "secret"
    path.write_bytes(content.encode())

    assert resolved({"file": str(path)}) == value


def test_a_file_that_cannot_be_used_is_told(tmp_path):
    """Missing, a directory, not text, too large."""
    (tmp_path / "binary").write_bytes(b"\xff")
    (tmp_path / "large").write_bytes(b"x" * (LARGEST_FILE + 1))
    for name, sentence in [
        ("none", "cannot be read: No such file or directory"),
        (".", "cannot be read: Is a directory"),
        ("binary", "is not UTF-8 text"),
        ("large", "is larger than 1 MiB"),
    ]:
        with pytest.raises(ConfigError, match=sentence):
            resolved({"file": str(tmp_path / name)})


def test_only_a_table_of_one_such_key_is_a_reference():
    """Everything else is a plain table."""
    assert is_reference({"env": "X"})
    assert not is_reference({"env": "X", "more": 1})
    assert not is_reference({"path": "X"})
    assert not is_reference("env")
