"""A timeline as its report and its table show it: the parts of a window, and those that they are compared with."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from events.clock import retention_cutoff_ms
from events.domain import Window, format_timestamp
from reports.intervals import HOUR, earlier, part_begins
from reports.starts import OnWaiting, StartsByPart, known_window, starts_by_part


class Timeline:
    """The parts of a window that begins at ``from_ms``, of which ``window`` is still known.

    ``asked`` are the parameters of the report. Making one may raise StoreError.
    """

    def __init__(
        self, asked: Mapping[str, Any], window: Window, *, from_ms: int, now_ms: int, on_waiting: OnWaiting | None
    ) -> None:
        self._asked, self._from_ms, self._now_ms, self._on_waiting = asked, from_ms, now_ms, on_waiting
        self._begins = part_begins(asked["interval"], from_ms=from_ms, to_ms=asked["as_of"], zone=asked["tz"])
        self.starts, self._of_countries = self._count(window, self._begins, countries=asked["countries"])
        self._before: list[int] | None = None
        if "compare" in asked:
            moments = [from_ms, asked["as_of"], *self._begins]
            self._earlier, begins = self._earlier_than(moments)
            self._before = self._count(known_window(self._earlier, now_ms=now_ms), begins).starts

    def points(self) -> Iterator[dict[str, Any]]:
        """Yield each part as the report has it."""
        to_ms, is_of_hours = self._asked["as_of"], self._asked["interval"] == HOUR
        for index, (begin, end) in enumerate(pairwise(self._begins)):
            moment = format_timestamp(begin)
            yield {
                "begin": moment,
                **({"hour": moment} if is_of_hours else {}),
                "starts": self.starts[index],
                "complete": self._from_ms < begin and end <= to_ms + 1,
                **({} if self._before is None else {"before": self._before[index]}),
            }

    def countries(self) -> list[dict[str, Any]]:
        """Return the countries with parts of their own as the report has them."""
        return [{"country": country, "starts": starts} for country, starts in self._of_countries.items()]

    def comparison(self) -> dict[str, Any] | None:
        """Return the earlier window as the report has it; None: nothing is compared."""
        if self._before is None:
            return None
        total, before = sum(self.starts), sum(self._before)
        return {
            "from": format_timestamp(self._earlier.from_ms),
            "to": format_timestamp(self._earlier.to_ms),
            "total": before,
            "change": (total - before) / before if before else None,
            "complete": self._earlier.from_ms >= retention_cutoff_ms(self._now_ms),
        }

    def table(self) -> list[tuple[str | int, ...]]:
        """Return the parts as rows, with a header."""
        columns: dict[str, Sequence[str | int]] = {
            self._asked["interval"]: [*map(format_timestamp, self._begins[:-1])],
            "starts": self.starts,
            **({} if self._before is None else {"before": self._before}),
            **self._of_countries,
        }
        return [tuple(columns), *zip(*columns.values(), strict=True)]

    def _count(self, window: Window, begins: list[int], *, countries: int = 0) -> StartsByPart:
        return starts_by_part(
            window=window,
            begins=begins,
            now_ms=self._now_ms,
            country=self._asked.get("country"),
            countries=countries,
            on_waiting=self._on_waiting,
        )

    def _earlier_than(self, moments: list[int]) -> tuple[Window, list[int]]:
        """Return the window that this one is compared with, and where its parts begin."""
        from_ms, to_ms, *begins = earlier(
            moments,
            interval=self._asked["interval"],
            hours=self._asked["hours"],
            compare=self._asked["compare"],
            zone=self._asked["tz"],
        )
        return Window(from_ms, to_ms), begins
