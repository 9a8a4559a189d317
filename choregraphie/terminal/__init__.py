"""What command lines show and read: durations, counts, tables, times."""
