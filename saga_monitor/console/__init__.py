"""The screen of the live monitor: what needs a person first, then what is under way, then what has ended.

app.py           the application: its keys, and the reading that goes on beside it
snapshot.py      what there is to show now, read from the projection
rendering.py     the snapshot as lines of text, cut to the width of the terminal
status.py        what the reading reports, kept for the next snapshot
order_table.py   the table of orders; sorting.py its order, search_field.py its search
screens.py       one order's timeline and the anomalies; timeline_text.py the words of the timeline
overlays.py      what screens over the table share, and the one that shows a text; help.py the help
caption.py       an optional line above everything; theme.py colours and places
"""
