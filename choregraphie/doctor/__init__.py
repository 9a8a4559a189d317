"""Examines everything that an application needs to run, and says of each what is wrong and what to do.

finding           the verdict on one thing
examination       all examinations, each of which may fail by itself
broker            version, nodes, alarms, clock, the way in
rabbitmq_versions the versions of RabbitMQ with known errors
queues            the topology, workers, messages that wait, dead letters
databases         the services' databases and what they have not published
installation      Python, libraries, settings, files of secrets
"""

from choregraphie.doctor.examination import examine
from choregraphie.doctor.finding import Finding, Verdict

__all__ = ["Finding", "Verdict", "examine"]
