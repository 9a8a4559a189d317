"""Makes foreign strings safe to print: a terminal would execute control characters."""


def printable(text: str) -> str:
    """`text` with everything that has no glyph of its own written as an escape (`\\x1b`, `\\u202e`)."""
    if text.isprintable():  # nearly every text is, and a page has thousands
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
