"""Reads the answers of foreign HTTP servers, up to a size limit."""

import zlib
from typing import TYPE_CHECKING

from choregraphie.errors import ChoregraphieError

if TYPE_CHECKING:
    import httpx

LARGEST_ANSWER_BYTES = 64 * 1024
# zlib's window size, and 16 for the gzip header and trailer.
_GZIP = zlib.MAX_WBITS + 16


class AnswerUnreadable(ChoregraphieError):
    """The answer is larger than `LARGEST_ANSWER_BYTES`, or has an encoding that was not asked for."""


async def read_answer(answer: "httpx.Response") -> bytes:
    """Read the body of an answer that was opened as a stream: at most `LARGEST_ANSWER_BYTES`, also decompressed.

    The caller bounds the time in total. Raises AnswerUnreadable when there is more, and httpx.HTTPError.
    """
    encoding = answer.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", "gzip", "x-gzip"}:
        raise AnswerUnreadable("the answer is compressed otherwise than by gzip")
    body = bytearray()
    async for chunk in answer.aiter_raw():
        body += chunk
        _check(body)
    return bytes(body) if encoding == "identity" else _unzipped(bytes(body))


def _unzipped(body: bytes) -> bytes:
    try:
        # Decompress one byte more than allowed, and no further: a small body can hold gigabytes.
        plain = zlib.decompressobj(_GZIP).decompress(body, LARGEST_ANSWER_BYTES + 1)
    except zlib.error:
        raise AnswerUnreadable("the answer is no valid gzip") from None
    _check(plain)
    return plain


def _check(body: bytes | bytearray) -> None:
    if len(body) > LARGEST_ANSWER_BYTES:
        raise AnswerUnreadable(f"the answer is longer than {LARGEST_ANSWER_BYTES} bytes")
