"""Makes texts of others safe to show: on a terminal, a control character is a command."""


def printable(text: str) -> str:
    """`text` with every unprintable character written as an escape (`\\x1b`, `\\u202e`)."""
    if text.isprintable():  # the usual case, and a page has thousands of texts
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
