"""What the commands print with `--json`: whole, unwrapped, and safe for a terminal whatever the data holds."""

import json
from datetime import datetime, timedelta

from agora_core.cli.printing import moment, say


def say_json(value: object) -> None:
    """Print *value* as JSON, whole and unwrapped; whatever could steer a terminal is escaped."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=_as_json)
    say("".join(char if char.isprintable() or char == "\n" else _json_escaped(char) for char in text))


def _json_escaped(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))


def _as_json(value: object) -> object:
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    return repr(value)
