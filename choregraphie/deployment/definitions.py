"""Topology and identities as a RabbitMQ definitions document (https://www.rabbitmq.com/docs/definitions)."""

import base64
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from choregraphie.deployment.identities import NOTHING, Identity, exactly
from choregraphie.saga.topology import HISTORY, Binding, Exchange, Topology

HASHING = "rabbit_password_hashing_sha256"
_SALT_BYTES = 4  # https://www.rabbitmq.com/docs/passwords


def definitions(
    wanted: Topology, known: Sequence[Identity], vhost: str, passwords: Mapping[str, str], prefix: str = ""
) -> dict[str, Any]:
    """The document that makes an empty broker one of this application.

    passwords  by the name of the identity; a user without one cannot log in
    prefix     before the name of each user
    """
    queues = [_kept(one.name, vhost) | {"arguments": dict(one.arguments)} for one in wanted.queues]
    return {
        "vhosts": [{"name": vhost}],
        **user_definitions(known, vhost, passwords, prefix),
        "policies": [_leaders(wanted, vhost)],
        "exchanges": [_exchange(one, vhost) for one in wanted.exchanges],
        "queues": queues,
        "bindings": [_binding(one, vhost) for one in wanted.bindings],
    }


def _kept(name: str, vhost: str) -> dict[str, Any]:
    return {"name": name, "vhost": vhost, "durable": True, "auto_delete": False}


def _exchange(exchange: Exchange, vhost: str) -> dict[str, Any]:
    return _kept(exchange.name, vhost) | {"type": exchange.type, "internal": False, "arguments": {}}


def _binding(binding: Binding, vhost: str) -> dict[str, Any]:
    return {
        "source": binding.exchange,
        "vhost": vhost,
        "destination": binding.queue,
        "destination_type": "queue",
        "routing_key": binding.key,
        "arguments": {},
    }


def user_definitions(
    known: Sequence[Identity], vhost: str, passwords: Mapping[str, str], prefix: str
) -> dict[str, Any]:
    """Users with the hashes of their passwords, their rights in `vhost`, and the exchanges that those rights name.

    RabbitMQ 4.3 refuses a topic permission for an exchange that is not there.
    """
    users, permissions, topic_permissions = [], [], []
    for one in known:
        name = f"{prefix}{one.name}"
        hashed = password_hash(passwords[one.name]) if one.name in passwords else ""
        users.append({"name": name, "password_hash": hashed, "hashing_algorithm": HASHING, "tags": list(one.tags)})
        of_user = {"user": name, "vhost": vhost}
        permissions.append(of_user | {"configure": one.configure, "write": one.write, "read": one.read})
        topic_permissions += [
            of_user | {"exchange": topic.exchange, "write": topic.write, "read": NOTHING} for topic in one.topics
        ]
    named = dict.fromkeys(topic.exchange for one in known for topic in one.topics)
    return {
        "users": users,
        "permissions": permissions,
        "topic_permissions": topic_permissions,
        "exchanges": [_exchange(Exchange(name), vhost) for name in named],
    }


def _leaders(wanted: Topology, vhost: str) -> dict[str, Any]:
    # On a cluster, whoever imports a document is connected to one node, and all leaders would be there.
    return {
        "name": "leaders",
        "vhost": vhost,
        "pattern": exactly([HISTORY, *(queue.name for queue in wanted.queues)]),
        "apply-to": "queues",
        "definition": {"queue-leader-locator": "balanced"},
        "priority": 0,
    }


def password_hash(password: str) -> str:
    """The salted hash that RabbitMQ keeps of `password`."""
    salt = secrets.token_bytes(_SALT_BYTES)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()
