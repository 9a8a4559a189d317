"""The demonstration: a whole saga on a broker of its own, with an order of every kind, checked at the end.

arguments.py     the command line, and what can be answered before anything is made
running.py       the order of things: broker, workers, console, orders, verdict, end
broker.py        where the broker comes from, and how it is given back
crew.py          the processes: started, paused, ended
interruption.py  Ctrl-C and its like, at a moment when what was started is known
board.py         what is told, and the monitor's console that has the screen meanwhile
counting.py      how many orders were lost or carried out twice, by the databases and the history
killing.py       the acts in which a worker and the broker are killed
kinds.py         the orders, and what each must come to
acts.py          plays them: what is published, and what is waited for
steps.py         what every act does: order, and wait
web_page.py      the web page, with --keep
asking.py        asks the monitor and the services
verdict.py       compares what was to be with what they say; pure
showing.py       tables for a person
keeping.py       --keep and --stop: what stays up, and how it is found again
record.py        where that is written down
"""
