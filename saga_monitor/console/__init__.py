"""The console of the live monitor: instances that need a person first, then those in flight, then settled ones.

app.py           the application and its keys
snapshot.py      the data of one redraw, read from the projection
rendering.py     the snapshot as lines of text, cut to the width of the terminal
status.py        the last reports of the reader and of the anomaly loop
anomaly_loop.py  judges the anomalies again and again
instance_table.py  the table of instances; sorting.py its sort order, search_field.py its search
screens.py       the timeline of an instance, and the list of anomalies; timeline_text.py the lines of the timeline
overlays.py      what the screens over the table share, and one that shows a text; help.py the help
caption.py       an optional caption above the table; theme.py colours and layout
"""
