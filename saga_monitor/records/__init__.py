"""What the history stream and the broker's queues say, read into plain records."""
