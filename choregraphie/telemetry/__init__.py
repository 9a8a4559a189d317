"""The metrics of a worker and the port that serves them; its traces."""
