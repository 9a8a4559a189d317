"""What tests share: brokers, databases, workers, sample services, and a client without code of the project."""
