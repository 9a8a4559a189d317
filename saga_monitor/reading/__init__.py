"""The stream and the broker: from entries to records, and what the broker says when it is asked."""
