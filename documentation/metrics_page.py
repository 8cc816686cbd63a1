"""The metrics, as ``metrics/catalogue.py`` has them."""

from metrics.catalogue import METRICS, OF_COMMANDS
from metrics.kinds import Histogram, Metric


def page() -> str:
    """Return the part of the page: a row for each metric."""
    rows = ["| metric | kind | labels | meaning |", "|---|---|---|---|"]
    return "\n".join([*rows, *map(_row, METRICS.values()), *map(_row, OF_COMMANDS), ""])


def _row(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    bounds = f" Bounds: {', '.join(f'{one:g}' for one in metric.bounds)}." if isinstance(metric, Histogram) else ""
    return f"| `{metric.name}` | {metric.type} | {labels} | {metric.help}{bounds} |"
