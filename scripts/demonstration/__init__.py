"""The demonstration: a whole saga on its own broker, with an order of every kind, checked at the end.

command_line.py     the command line, and what it can answer before the virtual environment exists
main.py             the run: broker, workers, console, orders, checks, shutdown
broker.py           obtains and releases the broker
processes.py        starts, pauses and ends the child processes
signals.py          turns Ctrl-C and similar signals into an exception at a safe moment
display.py          the progress lines, and the monitor's console that owns the screen meanwhile
scenarios.py        the orders, and the expected end of each
scenario_runner.py  publishes the orders, waits for them, kills a worker and the broker
steps.py            the steps that the scenarios share: publish an order, wait for it, start the web page
queries.py          reads the final state from the monitor and the services
checks.py           compares the final state with what was expected; pure
counting.py         counts the lost and repeated orders in the databases and the history
summary.py          the tables of the final report
keep_state.py       the state of a demonstration that --keep left running
"""
