"""The command line of an application. Each module adds a command to the parser and executes it.

main                     the parser, the exit codes
command, new             the command `choregraphie`: finds the application; writes a new project
run                      run, ready
inspect, journal         the business state; the actions carried out
outbox, relay            list and publish again; publish what programs decided in their own databases
topology, topology_users check and apply; export and users
doctor                   examines all that an application needs
dlq, dlq_replay,
dlq_treat, dlq_audit     dead letters; dlq_session has what their commands share
settle                   the answer that a service owes, given by a person
keys                     the keys of signatures
choreography             check, diagram, asyncapi, schemas, generate
simulate, simulate_run   choreography simulate: its options, and what it does
selection                how a command line names services
"""

from choregraphie.plain_structlog import import_structlog

import_structlog()  # before the modules that import it
