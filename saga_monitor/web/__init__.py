"""The web page: what the projection knows, for a browser and for a program; it reads and never writes.

server.py        the port: limits and deadlines of its connections
access.py        who may look: Host names, the token, the headers of every answer
app.py           the routes, and what is said when something is wrong
pages.py         the pages: orders, one order, anomalies, charts, the choreography; dead_letter_pages.py dead letters
api.py           the same as JSON, and whether this monitor lives and is ready
live_updates.py  how the reading stands, and server-sent events when something has changed
reader.py        what the pages read from the projection, fast at a million orders
filters.py       what a list is asked for: state, flag, a search, place in the list
narrative.py     one order in words: what remains, what was undone, what happened when
diagram.py       who said what to whom, as a drawing: of one order, and of the choreography
charts.py        rates, durations and outcomes over time, as drawings
raw_events.py    the events of an order as they were said, from the stream itself

Templates escape everything. No page needs a script to be read, and none comes from elsewhere.
"""
