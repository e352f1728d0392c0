"""Tells who bears the token, and counts those who do not."""

import logging
from collections.abc import Sequence

from agora_core.server.throttle import Throttle
from agora_core.server.tokens import Token

log = logging.getLogger("agora.server")


class Gate:
    """Compares what requests present with the *tokens*; without any, everyone may pass."""

    def __init__(self, tokens: Sequence[Token], throttle: Throttle) -> None:
        self._tokens = tuple(tokens)
        self._throttle = throttle
        self.unauthorized = 0
        """How many requests were refused, or presented a wrong token."""

    def authorizes(self, header: str) -> bool:
        """Whether the Authorization *header* (empty: none came) bears one of the tokens."""
        if not self._tokens:
            return True
        scheme, _, presented = header.partition(" ")
        # Each token is compared, also after a match, so that the time tells nothing of which it was.
        matches = [token.matches(presented.strip(" \t")) for token in self._tokens]
        return scheme.lower() == "bearer" and any(matches)

    def refuse(self, path: str, peer: str) -> None:
        """Count a failed try at the endpoint *path*, and log it unless another was logged just now."""
        self.unauthorized += 1
        if self._throttle.passes("unauthorized"):
            log.warning(
                "unauthorized health request", extra={"path": path, "peer": peer, "refused_so_far": self.unauthorized}
            )
