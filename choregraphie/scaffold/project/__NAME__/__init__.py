"""A saga of two services. Somebody asks to enrol, a place is held, and the enrolment is confirmed or cancelled.

contracts.py     the events on the wire
choreography.py  who hears what, and what each may answer
place/           holds places, and gives them back
inscription/     decides: confirms an enrolment or cancels it
application.py   ties them together; catalogue.toml is the starting data
scenario.py      what the simulator needs
demander.py      a client: asks for an enrolment, or to cancel one
"""
