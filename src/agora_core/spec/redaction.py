"""Takes secrets out of text before anyone sees it: passwords in URLs, bearer tokens, `key=value` secrets."""

import re

_MASK = "***"
_RULES = (
    (re.compile(r"(\b[a-zA-Z][a-zA-Z0-9+.\-]*://[^\s:/@]*:)[^\s@]*(?=@)"), rf"\g<1>{_MASK}"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=\-]{4,}"), rf"\g<1> {_MASK}"),
    (
        re.compile(
            r"""(?ix)(["']?\b[\w.-]*(?:password|passwd|token|api[_-]?key|secret|access[_-]?key)["']?\s*[=:]\s*)
            ("[^"]*"|'[^']*'|[^\s,;&)}\]"']+)"""
        ),
        rf"\g<1>{_MASK}",
    ),
)


def redact(text: str) -> str:
    """Return *text* with anything that looks like a secret replaced by `***`."""
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text
