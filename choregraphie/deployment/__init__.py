"""What an operator sets up on the broker, and how it compares with what the sagas declare.

live         what a broker has now, read through its management
differences  the live broker against the declared topology: each difference, with what to do
remedies     the commands that repair a difference; how a queue moves to other arguments
identities   who connects to the broker, and the least rights of each
definitions  topology and identities as a RabbitMQ definitions document
passwords    the password files of the identities
users        makes the identities on a broker
"""

from choregraphie.deployment.definitions import definitions
from choregraphie.deployment.differences import Difference, Kind, compare
from choregraphie.deployment.identities import Identity, TopicRight, identities
from choregraphie.deployment.live import LiveTopology, read_live
from choregraphie.deployment.passwords import PasswordFiles
from choregraphie.deployment.remedies import Remedies, remedies_of
from choregraphie.deployment.users import make_users, through_management, through_rabbitmqctl

__all__ = [
    "Difference",
    "Identity",
    "Kind",
    "LiveTopology",
    "PasswordFiles",
    "Remedies",
    "TopicRight",
    "compare",
    "definitions",
    "identities",
    "make_users",
    "read_live",
    "remedies_of",
    "through_management",
    "through_rabbitmqctl",
]
