"""A saga as data. Depends on pydantic alone.

choreography           who hears what, and what each service may answer; start reading here
declarations           what a choreography is made of: reactions, deadlines, steps
answers                which event may answer which
envelope               events in their CloudEvents envelope
content_modes          the envelope as a body, or as headers around the data
saga_set               the sagas of one application together
fields                 the types of an event's fields
topology               the exchanges, queues and bindings that follow from them
registry               reads any event from bytes
problems               says what is wrong with a message
media_types, rfc3339   reads media types and times
ids                    the ids of events
trace_context          the trace that a message belongs to
"""
