"""The command line of an application. Each module adds a command to the parser and executes it.

main                     the parser, the exit codes
run                      run, ready
inspect, journal         the business state; the actions carried out
outbox                   list and publish again
topology, topology_users check and apply; export and users
doctor                   examines all that an application needs
dlq, dlq_replay,
dlq_treat, dlq_audit     dead letters; dlq_session has what their commands share
settle                   the answer that a service owes, given by a person
choreography             check, diagram, asyncapi, schemas, generate
simulate, simulate_run   choreography simulate: its options, and what it does
selection                how a command line names services
"""
