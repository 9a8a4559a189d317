"""The command line of an application. Each module adds a command to the parser and executes it.

main                     the parser, the exit codes
run                      run, ready
inspect, journal         the business state; the actions carried out
outbox                   list and publish again
choreography             check, diagram, asyncapi, schemas, generate
simulate, simulate_run   choreography simulate: its options, and what it does
selection                how a command line names services
"""
