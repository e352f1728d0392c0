"""What the user's own code raises is told with its place, and without secrets."""

import pytest

from agora_core.cli.user_code import users_code
from agora_core.spec.errors import ConfigError, StoreError


@pytest.mark.parametrize("kind", [OSError, ConfigError, StoreError])
def test_what_users_code_raises_is_told_without_secrets(kind):
    """Be it an error of Agora's own kind, which quotes the address of a server, or any other."""
    with pytest.raises(ConfigError) as caught, users_code("while it is called"):
        raise kind("cannot reach postgres://etl:s3cret@db/letters")

    assert "cannot reach postgres://etl:***@db/letters" in str(caught.value)
