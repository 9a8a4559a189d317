"""Makes texts that others wrote safe for a terminal, to which a control character is a command."""


def printable(text: str) -> str:
    """`text` with every unprintable character written as an escape: `\\x1b`, `\\n`, `\\u202e`."""
    if text.isprintable():  # the usual case, and there may be thousands of texts
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
