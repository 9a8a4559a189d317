"""Why a connection to the broker failed, where client and server disagree about TLS."""

from choregraphie.amqp_url import BrokerAddress
from choregraphie.tls import refusal_of, speaks_tls


async def tls_refusal(address: BrokerAddress, error: BaseException | None) -> str | None:
    """Why a person must change something before a connection can be opened, or None. Asks the server.

    `error`: what the client raised.
    """
    if address.secured:
        return await refusal_of(address.host, address.port, address.options)
    # A server that expects TLS ends a connection that begins otherwise; RabbitMQ sends no alert before.
    ended = error is not None and isinstance(error.__cause__, ConnectionResetError | BrokenPipeError | EOFError)
    if ended and await speaks_tls(address.host, address.port):
        return "it speaks TLS there; write amqps:// in the URL"
    return None
