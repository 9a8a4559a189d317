"""What a broker says of itself when a connection is opened."""

from aio_pika.abc import AbstractConnection


def broker_version(connection: AbstractConnection) -> str:
    """The version that the broker names, such as `3.10.8`; empty when it names none."""
    underlay = connection.transport.connection if connection.transport else None
    properties = getattr(underlay, "server_properties", None) or {}
    version = properties.get("version", "")
    return version.decode(errors="replace") if isinstance(version, bytes) else str(version)
