"""The monitor: hears everything, says nothing, and knows from the choreography alone where each order stands.

reads  saga.history           every event said, every retry, every dead letter
keeps  a projection           one SQLite file: events by order, a summary of each, how far it has read;
                              delete it at any time, the stream rebuilds it
says   nothing                it publishes nothing and settles no message of any service

entries.py     a stream entry becomes a record: said, retried, set aside, or ignored and counted
progress.py    where an order stands, judged from the set of events heard; pure
               hearing.py its questions, steps.py its steps, troubles.py what calls for a person
store.py       the projection and its offset, one transaction per batch
               schema.py its tables, projection.py how a batch changes them, keeping.py and times.py parts of it,
               pruning.py what is forgotten
queries.py     what the projection can be asked; known.py what it answers with, past.py the same at an earlier time
history.py     follows the stream into the store, and notices when it is not the same stream any more
telling.py     the stream told as it was said
report.py      all orders together, from figures.py; order_report.py each of them
               tables.py, report_tables.py the same for a person
timeline.py    one order's events as a tree of causes; pure
anomalies.py   what is wrong, why, and what to do; alerts.py tells of it, metrics.py counts it
console/       the screen; lines.py the same on a pipe; live.py runs either beside the reading
web/           the page; serving.py serves it
verbs/         the command line, a module a verb
"""
