"""The monitor: hears everything, says nothing, and knows from the choreography alone where each order stands.

reads  saga.history           every event said, every retry, every dead letter
keeps  a projection           one SQLite file: events by order, a summary of each, how far it has read;
                              delete it at any time, the stream rebuilds it
says   nothing                it publishes nothing and settles no message of any service

entries.py     a stream entry becomes a record: said, retried, set aside, or ignored and counted
progress.py    where an order stands, judged from the set of events heard; pure
store.py       the projection and its offset, one transaction per batch
queries.py     what the projection can be asked
history.py     follows the stream into the store, and notices when it is not the same stream any more
report.py      list, show, report: tables and JSON
console.py     the screen; lines.py the same on a pipe; live.py runs either beside the reading
"""
