"""A saga as data: events, their envelope, the choreography, the topology. Depends on pydantic alone."""
