"""A receiver of traces and metrics by OTLP over HTTP, on a loopback port."""

from __future__ import annotations

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

if TYPE_CHECKING:
    from collections.abc import Iterator


class ReceivedSpan(NamedTuple):
    """A span as it was received; its ids, and those of its links, as hexadecimal digits, its times in ns."""

    service: str
    name: str
    attributes: dict[str, Any]
    trace_id: str
    span_id: str
    parent_id: str
    links: tuple[str, ...]
    began: int
    ended: int
    failed: bool

    @property
    def key(self) -> str:
        """The instance that it is about; empty where it is about several."""
        return str(self.attributes.get("messaging.message.conversation_id", ""))


class OtlpReceiver:
    """Keeps what it receives; `url` is what OTEL_EXPORTER_OTLP_ENDPOINT names."""

    def __init__(self, port: int = 0) -> None:
        """Port 0 takes a free one. Raises OSError when the port is taken."""
        self.spans: list[ReceivedSpan] = []
        self.metrics: set[str] = set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.receive(self.path, gzip.decompress(body) if self.headers["content-encoding"] else body)
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def receive(self, path: str, body: bytes) -> None:
        """Keep one request."""
        if path == "/v1/traces":
            self.spans += _spans(ExportTraceServiceRequest.FromString(body))
        elif path == "/v1/metrics":
            request = ExportMetricsServiceRequest.FromString(body)
            scopes = [scope for resource in request.resource_metrics for scope in resource.scope_metrics]
            self.metrics |= {metric.name for scope in scopes for metric in scope.metrics}


def _spans(request: ExportTraceServiceRequest) -> Iterator[ReceivedSpan]:
    for resource in request.resource_spans:
        service = _attributes(resource.resource.attributes)["service.name"]
        for span in (span for scope in resource.scope_spans for span in scope.spans):
            yield ReceivedSpan(
                service,
                span.name,
                _attributes(span.attributes),
                span.trace_id.hex(),
                span.span_id.hex(),
                span.parent_span_id.hex(),
                tuple(link.span_id.hex() for link in span.links),
                span.start_time_unix_nano,
                span.end_time_unix_nano,
                span.status.code == Status.STATUS_CODE_ERROR,
            )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
