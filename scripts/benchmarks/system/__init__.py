"""The whole order saga on a private broker: our services, peers and the ceiling, in interleaved rounds."""
