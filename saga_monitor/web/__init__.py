"""The web page of the monitor: read-only, served by `python -m saga_monitor serve`.

server.py            the HTTP server, with its limits
access.py            access control: Host names, the token, security headers; login.py asks for the token
app.py               the routes and the error answers
pages.py             the HTML pages; dead_letter_pages.py those of dead letters
api.py               the JSON answers, and the health of this monitor
saga_answers.py      where one saga stands, for a program that waits for its end
live_updates.py      the state of the reading, and server-sent events when something changes
context.py           what all pages share; templating.py the templates and their filters
reader.py            the queries of the pages; filters.py the filters of the list of instances
raw_events.py        events read again from the stream
narrative.py         one instance in words; event_roles.py the part that each event plays
diagram.py           sequence diagrams; charts.py and axes.py the charts
"""
