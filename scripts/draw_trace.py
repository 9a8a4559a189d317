#!/usr/bin/env python3
"""Receive the spans of workers and draw those of one order as SVG, where no trace store is at hand.

Workers send them here with SAGA_TRACING=links and OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318.
"""

import contextlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

try:
    from scripts.cli_parser import Parser, above_zero, whole
    from scripts.otlp_receiver import OtlpReceiver, ReceivedSpan
    from scripts.trace_drawing import about, drawing
except ModuleNotFoundError as missing:
    print(
        f"draw_trace.py: {missing.name} is not installed for this Python; './scripts/demo' makes a virtual"
        " environment, '. .venv/bin/activate' enters it",
        file=sys.stderr,
    )
    sys.exit(2)

POLL_SECONDS = 0.1


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: 0 drawn, 1 no span of the order came, 2 usage error, or the file cannot be written."""
    parser = Parser("draw_trace.py", __doc__)
    parser.add_argument("key", help="the order, such as CMD-0001")
    parser.add_argument("--into", type=Path, default=Path("trace.svg"), metavar="FILE", help="default: trace.svg")
    parser.add_argument("--port", type=whole, default=4318, help="port of this machine, default: 4318")
    parser.add_argument(
        "--quiet",
        type=above_zero,
        default=12,
        metavar="SECONDS",
        help="draw when no span of it came for so long; default: 12, two exports of a worker",
    )
    options = parser.parse_args(arguments)
    try:
        receiver = OtlpReceiver(options.port)
    except (OSError, OverflowError) as error:
        parser.error(f"--port {options.port}: {getattr(error, 'strerror', None) or error}")
    with receiver, contextlib.suppress(KeyboardInterrupt):
        print(f"waiting for spans of {options.key} at {receiver.url}; Ctrl-C draws what came", file=sys.stderr)
        _wait(receiver, options.key, options.quiet)
    return _draw(about(receiver.spans, options.key), options.key, options.into)


def _draw(spans: Sequence[ReceivedSpan], key: str, into: Path) -> int:
    if not spans:
        print(f"draw_trace.py: no span of {key} came", file=sys.stderr)
        return 1
    try:
        into.write_text(drawing(spans, key), encoding="utf-8")
    except OSError as error:
        print(f"draw_trace.py: {into}: {error.strerror}", file=sys.stderr)
        return 2
    print(f"{into}: {len(spans)} spans")
    return 0


def _wait(receiver: OtlpReceiver, key: str, quiet_seconds: float) -> None:
    """Wait for the first span about `key`, and then until none has come for so long."""
    seen, since = 0, time.monotonic()
    while not seen or time.monotonic() - since < quiet_seconds:
        if (found := len(about(receiver.spans, key))) > seen:
            seen, since = found, time.monotonic()
        time.sleep(POLL_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
