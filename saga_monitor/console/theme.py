"""The colours and the layout of the console."""

from rich.terminal_theme import TerminalTheme

# The ANSI colours for a dark background: equally readable, and easy to tell apart.
COLOURS = TerminalTheme(
    (24, 26, 31),
    (220, 223, 228),
    [
        *((63, 68, 81), (240, 98, 110), (140, 200, 110), (229, 192, 123)),
        *((97, 160, 250), (214, 130, 240), (86, 190, 200), (220, 223, 228)),
    ],
)

CSS = """
Screen { background: $background; overflow: hidden; }
#caption { height: auto; max-height: 2; padding: 0 1; background: $primary 40%; text-style: bold; }
.line { height: 1; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
#states, #troubles { height: auto; max-height: 3; }
#anomalies { height: auto; max-height: 4; padding: 0 1; background: $error 10%;
             text-wrap: nowrap; text-overflow: ellipsis; }
#view { background: $panel; }
#instances { height: 1fr; scrollbar-size-vertical: 1; overflow-x: hidden; background: $background; }
#search { height: 1; border: none; padding: 0 1; }
"""
