"""The passive monitor: from the history and the declared choreography it says where each saga instance stands.

reads      saga.history    every event, every retry, every dead letter
keeps      a projection    one SQLite file; delete it at any time, the stream rebuilds it
publishes  nothing         it settles no message of any service and declares nothing on the broker

Each package uses only those below it:

cli/                     the command line, a module a command; `__main__.py` starts it
web/ console/ metrics    the web page, the screen, what Prometheus reads
alerting/                which anomalies are told to whom, and what was told already
text/                    tables and lines for terminals and pipes
reports/                 one instance or all of them, as data
diagnosis/               what is wrong, why, and what to do about it
stream/                  follows the history into the projection
projection/              the monitor's tables, what a batch changes in them, what can be asked of them
records/                 a stream entry or a queue count, read into a plain record
analysis/                what the events of one instance mean; pure
"""
