"""The order saga on Dramatiq."""
