"""Who is told of anomalies, when, and how often."""
