"""What is said: the events, their envelope, the choreography and the topology derived from it."""
