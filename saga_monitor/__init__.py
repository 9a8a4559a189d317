"""The monitor: hears everything, says nothing, and knows from the choreography alone where each order stands.

reads  saga.history           every event said, every retry, every dead letter
keeps  a projection           one SQLite file: events by order, a summary of each, how far it has read;
                              delete it at any time, the stream rebuilds it
says   nothing                it publishes nothing and settles no message of any service

progress.py    where an order stands, judged from the set of events heard; pure
anomalies.py   what is wrong, why, and what to do; pure
judging/       the questions that both ask: steps, what is waited for, what contradicts, what calls for a person
history.py     follows the stream into the store, and notices when it is not the same stream any more
reading/       a stream entry becomes a record; the broker is asked; the stream told as it was said
store.py       the projection and its offset, one transaction per batch
queries.py     what the projection can be asked
books/         its tables, how a batch changes them, what is forgotten, the world at an earlier time
report.py      all orders together, and each of them
alerts.py      which anomalies are worth waking somebody for; alerting/ tells them, and remembers whom it told
metrics.py     what Prometheus is shown
showing/       tables, lines on a pipe, and the live monitor that runs beside the reading
console/       the screen
web/           the page
verbs/         the command line, a module a verb
"""
