"""What command lines read and show: times, durations, counts, tables."""
