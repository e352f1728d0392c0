"""How long a store waits for its server, and over how many connections."""

from dataclasses import dataclass

from agora.plugins import ConfigError, finite_number


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The options that the stores in servers share; raise `ConfigError` when they cannot be used."""

    timeout_seconds: float
    max_connections: int

    def __post_init__(self) -> None:
        finite_number("timeout_seconds", self.timeout_seconds, least=0.1, most=3600)
        many = self.max_connections
        if isinstance(many, bool) or not isinstance(many, int) or many < 1:
            raise ConfigError(f"max_connections must be a whole number of at least 1, not {many!r}")
