"""What a saga is, as data: events, their envelope, the choreography, the topology."""
