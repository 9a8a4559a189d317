"""The database of the monitor: tables, how entries change them, and the queries."""
