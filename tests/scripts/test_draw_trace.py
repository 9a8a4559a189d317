"""The picture of one order's spans, and the receiver that it comes from."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, StatusCode

from choregraphie.telemetry.conventions import CONVERSATION_ID
from scripts import draw_trace
from scripts.otlp_receiver import OtlpReceiver, ReceivedSpan
from scripts.trace_drawing import ERROR, about, drawing
from tests.scripts.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def received() -> list[ReceivedSpan]:
    """Spans as an exporter sends them: an event that stock creates, how paiement fails with it, and a stranger."""
    exporter = InMemorySpanExporter()

    def tracer(service: str):  # type: ignore[no-untyped-def]
        provider = TracerProvider(resource=Resource({"service.name": service}), shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        return provider.get_tracer("test")

    created = tracer("stock").start_span("create stock.events:a<b", attributes={CONVERSATION_ID: "CMD-1"})
    created.end()
    link = Link(created.get_span_context())
    tracer("stock").start_span("send stock.events", links=[link]).end()
    failed = tracer("paiement").start_span("process it", attributes={CONVERSATION_ID: "CMD-1"}, links=[link])
    failed.set_status(StatusCode.ERROR)
    failed.end()
    tracer("commande").start_span("process another", attributes={CONVERSATION_ID: "CMD-2"}).end()
    with OtlpReceiver() as receiver:
        body = encode_spans(exporter.get_finished_spans()).SerializeToString()
        urllib.request.urlopen(urllib.request.Request(f"{receiver.url}/v1/traces", body), timeout=10).close()
    return receiver.spans


def test_the_picture_has_a_bar_for_each_span_of_the_order_and_a_line_for_each_link() -> None:
    spans = about(received(), "CMD-1")
    assert [span.name for span in spans] == ["create stock.events:a<b", "send stock.events", "process it"]
    picture = ET.fromstring(drawing(spans, "CMD-1"))
    texts = [text.text or "" for text in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert {"create stock.events:a<b", "send stock.events", "process it", "stock", "paiement"} <= {*texts}
    assert "commande" not in texts
    dashed = [
        path for path in picture.iter("{http://www.w3.org/2000/svg}path") if "stroke-dasharray" in path.attrib
    ]
    assert len(dashed) == 2
    red = [bar for bar in picture.iter("{http://www.w3.org/2000/svg}rect") if bar.attrib["fill"] == ERROR]
    assert len(red) == 1


def test_a_picture_that_cannot_be_written_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spans = received()
    monkeypatch.setattr(draw_trace, "about", lambda *_: spans)
    nowhere = tmp_path / "no" / "where.svg"
    assert draw_trace.main(["CMD-1", "--port", "0", "--quiet", "0.1", "--into", str(nowhere)]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"draw_trace.py: {nowhere}: No such file or directory"


def test_a_port_that_is_taken_is_one_line(tmp_path: Path) -> None:
    with OtlpReceiver() as taken:
        port = taken.url.rpartition(":")[2]
        command = [
            sys.executable,
            "scripts/draw_trace.py",
            "CMD-1",
            "--port",
            port,
            "--into",
            str(tmp_path / "x.svg"),
        ]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert f"--port {port}" in done.stderr
