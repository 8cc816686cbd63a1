"""Numbers of a command, which has no port, in a file that node_exporter reads (its textfile collector)."""

from collections.abc import Mapping
from pathlib import Path

from metrics.kinds import Metric

# Of each metric its numbers, by the values of its labels.
Numbers = Mapping[Metric, Mapping[tuple[str, ...], float]]


def write(path: Path, numbers: Numbers) -> None:
    """Write a file whole, then rename it: nobody reads half of one. Raises OSError."""
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.write_text("".join(f"{line}\n" for metric, values in numbers.items() for line in _lines(metric, values)))
    unfinished.replace(path)


def _lines(metric: Metric, values: Mapping[tuple[str, ...], float]) -> list[str]:
    head = [f"# HELP {metric.name} {metric.help}", f"# TYPE {metric.name} {metric.type}"]
    return [*head, *(f"{metric.name}{_labels(metric, key)} {value}" for key, value in values.items())]


def _labels(metric: Metric, key: tuple[str, ...]) -> str:
    pairs = [f'{label}="{value}"' for label, value in zip(metric.labels, key, strict=True)]
    return f"{{{','.join(pairs)}}}" if pairs else ""
