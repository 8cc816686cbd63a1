"""``python -m benchmarks.speed_page``: write the tables of docs/explanation/speed.md from RESULTS.md."""

import re

from benchmarks.markdown import table, wrapped
from benchmarks.programs import PROJECT
from benchmarks.results import Run, loaded, recorded, written

PAGE = PROJECT / "docs/explanation/speed.md"
BEGIN, END = "<!-- speed: python -m benchmarks.speed_page -->", "<!-- end of speed -->"
PROGRAMS = {
    "floor": "bare WSGI function, nothing checked (the floor)",
    "floor-cached": "the floor, with a GET and a SET in Redis",
    "ours": "**this service**",
    "fastapi": "FastAPI, uvicorn",
    "flask": "Flask, gunicorn",
    "flask-granian": "Flask on our server",
}
QUESTIONS = {
    "ingest": "Ingest, events/s (Flask: one event a request and one insert after the other)",
    "cached": "A cached report, requests/s (Flask: Flask-Caching)",
    "player": "A player's report that is not cached, requests/s (Flask: one query of 20 rows)",
}


def main() -> None:
    """Put the table between its two markers."""
    PAGE.write_text(with_speed(PAGE.read_text()))


def with_speed(page: str) -> str:
    """The page with the tables of the runs that RESULTS.md has now."""
    between = f"{BEGIN}\n{speed()}\n{END}"
    return re.sub(f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: between, page, flags=re.DOTALL)


def speed() -> str:
    """Throughput and latency of each program, and what 9 of 10 replies take under the mix of `make load`."""
    return "\n\n".join([*(compared(recorded(question)) for question in QUESTIONS), under_load()])


def compared(run: Run) -> str:
    """One question: the medians of each program."""
    lines = [
        [
            PROGRAMS[program],
            written(run.median(program, "events_s")),
            f"{run.median(program, 'events_s') / run.median('floor', 'events_s'):.2f}",
            written(run.median(program, "p90_ms")),
            written(run.median(program, "half_p90_ms")),
        ]
        for program in run.programs()
    ]
    titles = [QUESTIONS[run.question], "per second", "of the floor", "p90 ms", "p90 ms at half of that"]
    return table(titles, lines)


def under_load() -> str:
    """The mix of `make load` on a store of the demo's size."""
    introduction, lines = loaded()
    return f"{wrapped(introduction)}\n\n{table(['address', 'requests', 'p50 ms', 'p90 ms', 'p99 ms'], lines)}"


if __name__ == "__main__":
    main()
