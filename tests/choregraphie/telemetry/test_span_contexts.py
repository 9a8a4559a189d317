"""The context of a span as headers, compared with OpenTelemetry's own propagator."""

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.trace import SpanContext, TraceFlags, TraceState, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from choregraphie.saga.envelope import Instance
from choregraphie.saga.trace_context import received_context
from choregraphie.telemetry.span_contexts import ROOT, child_of, context_of_instance, span_context, trace_context

PROPAGATOR = TraceContextTextMapPropagator()
CONTEXTS = st.builds(
    SpanContext,
    st.integers(1, 2**128 - 1),
    st.integers(1, 2**64 - 1),
    st.just(True),
    st.sampled_from([TraceFlags(0), TraceFlags(1)]),
    st.dictionaries(
        st.from_regex("[a-z][a-z0-9]{0,9}", fullmatch=True), st.from_regex("[!-+]{1,9}", fullmatch=True)
    ).map(lambda members: TraceState([*members.items()])),
)


@given(CONTEXTS)
def test_headers_are_those_of_the_standards_propagator_in_both_directions(context: SpanContext) -> None:
    ours = trace_context(context)
    assert ours is not None
    theirs: dict[str, str] = {}
    PROPAGATOR.inject(theirs, child_of(context))
    assert ours.headers() == theirs
    read = received_context(theirs)
    assert read is not None
    extracted = get_current_span(PROPAGATOR.extract(theirs, ROOT)).get_span_context()
    assert span_context(read) == extracted == context


def test_a_span_that_does_not_exist_has_no_context() -> None:
    assert trace_context(get_current_span(ROOT).get_span_context()) is None


def test_every_service_names_the_same_trace_for_an_instance_and_agrees_whether_it_is_recorded() -> None:
    def tracer(ratio: float) -> object:
        return TracerProvider(TraceIdRatioBased(ratio), shutdown_on_exit=False).get_tracer("test")

    instances = [Instance("commande", f"CMD-{n}") for n in range(200)]
    first, second = ([context_of_instance(tracer(0.5), one) for one in instances] for _ in range(2))  # type: ignore[arg-type]
    assert first == second
    assert len({context.trace_id for context in first}) == len(instances)
    recorded = sum(context.trace_flags.sampled for context in first)
    assert 0 < recorded < len(instances)
    assert Instance("voyage", "CMD-1") != instances[1]
    assert context_of_instance(tracer(1), Instance("voyage", "CMD-1")).trace_id not in {c.trace_id for c in first}  # type: ignore[arg-type]
