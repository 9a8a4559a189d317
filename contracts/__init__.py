"""The order saga's events, one module per speaker, and its choreography."""
