"""What a store suffers from while it goes on: sentences for those who look after the worker."""


class Troubles:
    """One sentence for each sort of trouble; any thread may say, forget and read them."""

    def __init__(self) -> None:
        self._sentences: dict[str, str] = {}

    def say(self, sort: str, sentence: str) -> None:
        """Have *sentence* told until it is forgotten."""
        self._sentences = {**self._sentences, sort: sentence}

    def forget(self, sort: str) -> None:
        """Tell nothing of that *sort* any more."""
        if sort in self._sentences:
            self._sentences = {other: sentence for other, sentence in self._sentences.items() if other != sort}

    def told(self) -> tuple[str, ...]:
        """Return the sentences."""
        return tuple(self._sentences.values())
