"""The trace context in the headers of a message that anybody may have sent."""

import pytest

from choregraphie.saga.trace_context import MOST_TRACESTATE, TraceContext, kept_headers, received_context

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_context_is_read_from_its_two_headers_and_travels_in_them() -> None:
    headers = {"traceparent": PARENT, "tracestate": "a=1,b=2", "other": 1}
    context = received_context(headers)
    assert context == TraceContext(PARENT, "a=1,b=2")
    assert context.headers() == {"traceparent": PARENT, "tracestate": "a=1,b=2"}
    assert received_context(context.headers()) == context


@pytest.mark.parametrize(
    "parent",
    [
        PARENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32),
        PARENT.replace("00f067aa0ba902b7", "0" * 16),
        PARENT.replace("00-", "ff-", 1),
        PARENT + "-more",
        PARENT.upper(),
        "0" * 131_000,
        f"{PARENT}\n",
        b"bytes",
        ["x"],
        7,
        None,
    ],
    ids=lambda parent: repr(parent)[:24],
)
def test_what_the_standard_calls_invalid_is_no_context(parent: object) -> None:
    assert received_context({"traceparent": parent, "tracestate": "a=1"}) is None


@pytest.mark.parametrize("state", ["", "a=1\n", "é=1", "a=\x00", "x" * (MOST_TRACESTATE + 1), ["a=1"], 7])
def test_an_unusable_tracestate_is_dropped_and_its_traceparent_kept(state: object) -> None:
    assert received_context({"traceparent": PARENT, "tracestate": state}) == TraceContext(PARENT)


def test_a_tracestate_alone_is_no_context() -> None:
    assert received_context({"tracestate": "a=1"}) is None


def test_a_message_that_is_published_again_keeps_its_headers_and_no_part_of_a_tracestate() -> None:
    headers = {"traceparent": PARENT, "tracestate": "a=1"}
    assert kept_headers(headers) == headers
    assert kept_headers(headers | {"tracestate": "x" * (MOST_TRACESTATE + 1)}) == {"traceparent": PARENT}
    assert kept_headers({"traceparent": 7, "tracestate": ["x"]}) == {}
