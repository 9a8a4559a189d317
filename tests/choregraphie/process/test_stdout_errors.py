"""Output that cannot be written is dropped: a worker goes on without its log."""

import errno
import io
import os
from pathlib import Path

from choregraphie.process.stdout_errors import TolerantStream


class Full(io.StringIO):
    """A stream without a descriptor that takes nothing."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_output_that_a_stream_without_a_descriptor_refuses_is_dropped_and_costs_no_descriptor() -> None:
    stream, descriptors = TolerantStream(Full()), Path("/proc/self/fd")
    before = len([*descriptors.iterdir()])
    assert [stream.write("a line\n") for _ in range(3)] == [7, 7, 7]
    assert len([*descriptors.iterdir()]) == before
