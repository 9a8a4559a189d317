"""A saga as data. Depends on pydantic alone.

choreography           who hears what, and what each service may answer; start reading here
envelope               events in their CloudEvents envelope
topology               the exchanges, queues and bindings that follow from a choreography
registry               reads any event from bytes
problems               says what is wrong with a message
media_types, rfc3339   reads media types and times
"""
