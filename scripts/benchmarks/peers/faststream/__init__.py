"""The order saga on FastStream."""
