"""Takes secrets out of text before anyone sees it: passwords in URLs, credentials in headers, `key=value` secrets."""

import re

MASK = "***"
"""What stands in the place of a secret."""

# Each rule takes time in proportion to the text, whatever it says: it may come from a hostile record. So what repeats
# is possessive (`++`) or bounded, and no two matches begin within reach of the same long tail.
_AUTHORITY = r"""[^\s/?\#@"'<>]*+@"""
_WEB_USER = re.compile(rf"(?ix) ((?:https?|wss?)://) (?:{_AUTHORITY})++")
"""A user alone may be a token; up to the last `@` before the path, since passwords may hold one."""
_URL_PASSWORD = re.compile(
    rf"""(?x) (?<=[a-zA-Z0-9+.\-]) (://[^\s:/@]*:) (?!//)
    (?: (?:{_AUTHORITY})++ | (?:[^\s@:]|:(?!//)){{0,1024}}+@ (?:{_AUTHORITY})*+ )"""
)
_HEADER = re.compile(
    r"""(?ix)
    ((?:authorization|cookie)\\*["']?\s*[=:]\s*)
    (?: (b?\\*["']?(?:basic|bearer|token|apikey|negotiate)\s++)[^\s"',;)}\]\\]++
      | (b?\\*") [^"\r\n]++
      | (b?\\*') [^'\r\n]++
      | [^\s"'][^\r\n]*+
    )"""
)
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=\-]{4,}")
_CLOSED = r"""(?:"(?:[^"\\]|\\.)*+" | '(?:[^'\\]|\\.)*+' | \\["'][^"'\\]*+\\["'])"""
_BARE = r"""(?:[^\s,;&)}\]"'\\]++ | \\(?!["']))"""
_KEY = re.compile(
    rf"""(?ixs)
    ((?:passw(?:or)?d|passphrase|pwd|token|secret(?:[_-]?key)?|(?:api|access|private)[_-]?key)\\*["']?\s*[=:]\s*)
    (?: b?{_CLOSED} (?:{_CLOSED}|{_BARE})*+
      | b?\\*["'][^\r\n]*+  # the text was cut before the closing quote
      | {_BARE} (?:{_CLOSED}|{_BARE})*+
    )"""
)
_RULES = (
    (_URL_PASSWORD, rf"\g<1>{MASK}@"),
    (_WEB_USER, rf"\g<1>{MASK}@"),
    (_HEADER, rf"\g<1>\g<2>\g<3>\g<4>{MASK}"),
    (_BEARER, rf"\g<1> {MASK}"),
    (_KEY, rf"\g<1>{MASK}"),
)


def redact(text: str) -> str:
    """Return *text* with anything that looks like a secret replaced by `***`."""
    for pattern, replacement in _RULES:
        # Looked for first: `sub` takes its replacement apart even where there is nothing to replace.
        if pattern.search(text):
            text = pattern.sub(replacement, text)
    return text
