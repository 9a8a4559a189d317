"""A small SMTP server on loopback: it keeps the mails it gets, and can be told to refuse them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default


@dataclass
class MailServer:
    """Each of `answers` replaces the `250` after one message; then the server accepts again."""

    extensions: tuple[bytes, ...] = (b"8BITMIME",)
    port: int = 0
    answers: list[bytes] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)

    @property
    def mails(self) -> list[EmailMessage]:
        return [message_from_bytes(mail, policy=default) for mail in self.raw]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 here\r\n")
        while line := await reader.readline():
            verb = line.split(maxsplit=1)[0].upper() if line.strip() else b""
            if verb == b"EHLO":
                replies = [b"here", *self.extensions]
                writer.writelines(b"250-%b\r\n" % reply for reply in replies[:-1])
                writer.write(b"250 %b\r\n" % replies[-1])
            elif verb == b"DATA":
                writer.write(b"354 go on\r\n")
                mail = await reader.readuntil(b"\r\n.\r\n")
                answer = self.answers.pop(0) if self.answers else b"250 kept"
                if answer.startswith(b"250") or not answer:
                    self.raw.append(mail.removesuffix(b".\r\n"))
                if not answer:
                    break
                writer.write(answer + b"\r\n")
            elif verb == b"QUIT":
                writer.write(b"221 bye\r\n")
                break
            else:
                writer.write(b"250 fine\r\n")
            await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def mail_server(extensions: tuple[bytes, ...] = (b"8BITMIME",)) -> AsyncIterator[MailServer]:
    kept = MailServer(extensions)
    server = await asyncio.start_server(kept.serve, "127.0.0.1", 0)
    kept.port = server.sockets[0].getsockname()[1]
    async with server:
        yield kept
