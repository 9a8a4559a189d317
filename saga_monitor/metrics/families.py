"""Families of metrics, from labels and numbers."""

from collections.abc import Iterable, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from saga_monitor.projection.counters import BOUNDS_MS, Histogram

Labelled = Iterable[tuple[tuple[str, ...], float]]


def counter(name: str, about: str, labels: tuple[str, ...], values: Labelled) -> Metric:
    return _filled(CounterMetricFamily(name, about, labels=labels), values)


def value(name: str, about: str, number: float) -> Metric:
    """A gauge without labels."""
    return GaugeMetricFamily(name, about, value=number)


def gauge(name: str, about: str, labels: tuple[str, ...], values: Labelled) -> Metric:
    return _filled(GaugeMetricFamily(name, about, labels=labels), values)


def _filled(family: CounterMetricFamily | GaugeMetricFamily, values: Labelled) -> Metric:
    for of, value in values:
        family.add_metric(of, value)
    return family


def histograms(
    name: str, about: str, labels: tuple[str, ...], spreads: Mapping[tuple[str, ...], Histogram]
) -> Metric:
    """A family of histograms of durations, in seconds."""
    family = HistogramMetricFamily(name, about, labels=labels)
    for of, times in spreads.items():
        buckets, below = [], 0
        for bound, count in zip([*(str(ms / 1000) for ms in BOUNDS_MS), "+Inf"], times.counts, strict=True):
            below += count
            buckets.append((bound, below))
        family.add_metric(of, buckets, times.sum_ms / 1000)
    return family
