"""The comparison of the two wirings of the order saga: one module for each measure."""
