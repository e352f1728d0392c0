"""Reads an Accept header as far as `/metrics` needs it."""

OPENMETRICS = "application/openmetrics-text"
_TEXT = ("text/plain", "text/*", "*/*")


def prefers_openmetrics(accept: str) -> bool:
    """Whether *accept* asks for OpenMetrics 1.x at least as much as for plain text."""
    openmetrics = text = 0.0
    for part in accept.split(","):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        options = dict(parameter.partition("=")[::2] for parameter in parameters)
        quality = _quality(options.get("q", "1"))
        if kind == OPENMETRICS and options.get("version", "1").strip('"').startswith("1"):
            openmetrics = max(openmetrics, quality)
        elif kind in _TEXT:
            text = max(text, quality)
    return openmetrics > 0 and openmetrics >= text


def _quality(text: str) -> float:
    """Return a weight of 0 to 1; 0 for what is none."""
    try:
        quality = float(text)
    except ValueError:
        return 0.0
    return quality if 0 <= quality <= 1 else 0.0
