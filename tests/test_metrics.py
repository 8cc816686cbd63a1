"""What is counted is what happened: of all workers, of those that died, and also while nothing else works."""

import json
import re
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections import Counter as Counted
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_prometheus

from conftest import PROJECT, WebServer, free_port, manage
from events.domain import DAY_MS, HOUR_MS, format_timestamp
from events.tests.dumps import lines_of
from metrics import cells, exporter
from metrics.catalogue import KEY_SET_AGE, METRICS, OF_COMMANDS, OF_IMPORTS, REQUEST_DURATION, WORKER_MEMORY
from metrics.exporter import Workers
from metrics.kinds import Counter, Histogram
from metrics.sender import SECONDS_BETWEEN_SNAPSHOTS, Snapshot

pytestmark = pytest.mark.long

DEPLOY = PROJECT / "deploy"
DURATION = REQUEST_DURATION.name
Numbers = dict[tuple[str, ...], float]


class Measured:
    """A service whose metrics are served."""

    def __init__(self, start: Callable[..., WebServer], **environment: str) -> None:
        self.port = free_port()
        self.web = start(METRICS_PORT=str(self.port), **{"WEB_WORKERS": "2", **environment})

    def exposition(self, *, accept: str = "text/plain") -> str:
        """What stands at /metrics, once every worker has told what it has counted until now."""
        time.sleep(SECONDS_BETWEEN_SNAPSHOTS + 0.5)
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/metrics", headers={"Accept": accept})
        return urllib.request.urlopen(request, timeout=5).read().decode()

    def numbers(self) -> Numbers:
        """Samples by name and values of labels."""
        return numbers_of(self.exposition())

    def children(self) -> tuple[list[psutil.Process], list[psutil.Process]]:
        """The workers, and the exporter."""
        children = psutil.Process(self.web.process.pid).children()
        exporter = [one for one in children if "metrics" in one.cmdline()]
        return [one for one in children if one not in exporter], exporter

    def post(self, path: str, body: object) -> int:
        request = urllib.request.Request(
            self.web.url + path, data=json.dumps(body).encode(), headers={"Content-Type": "application/json"}
        )
        return status_of(request)

    def get(self, path: str) -> int:
        return status_of(urllib.request.Request(self.web.url + path))


def status_of(request: urllib.request.Request) -> int:
    try:
        return int(urllib.request.urlopen(request, timeout=10).status)
    except urllib.error.HTTPError as error:
        return error.code


def numbers_of(exposition: str) -> Numbers:
    """Samples by name and values of labels, in the order of the catalogue."""
    samples = [one for family in parse_prometheus(exposition) for one in family.samples]
    return {(one.name, *(one.labels[name] for name in _labels(one))): one.value for one in samples}


def _labels(sample: Any) -> list[str]:
    metric = METRICS.get(sample.name) or METRICS.get(re.sub(r"_(bucket|count|sum)$", "", sample.name))
    return [*(metric.labels if metric else []), *(["le"] if "le" in sample.labels else [])]


def requests(numbers: Numbers) -> dict[tuple[str, ...], float]:
    """By route, method and status, without the probes that waited for the start."""
    total: Counted[tuple[str, ...]] = Counted()
    for (name, *labels), value in numbers.items():
        if name == f"{DURATION}_count" and labels[0] != "/livez":
            total[tuple(labels[:3])] += value
    return total


@pytest.fixture
def measured(web_server: Callable[..., WebServer]) -> Callable[..., Measured]:
    return lambda **environment: Measured(web_server, **environment)


def test_what_threads_count_is_added_also_when_they_have_ended() -> None:
    counter = Counter("test_total", "Of this test.", ("label",))
    histogram = Histogram("test_seconds", "Of this test.", (1, 2))

    def count() -> None:
        for _ in range(1_000):
            counter.add("a")
        histogram.observe(1)
        histogram.observe(5)

    before = len(cells._living)
    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    count()
    total = cells.totals()
    assert total["test_total", "a"] == [9_000]
    assert total["test_seconds",] == [9, 0, 9, 54]
    assert len(cells._living) <= before + 1  # what threads had is freed with them


def test_every_request_and_event_is_counted_once(measured: Callable[..., Measured], player: str, country: str) -> None:
    service = measured(REPORT_CACHE_SECONDS="50")
    now_ms = time.time_ns() // 1_000_000
    late, old = format_timestamp(now_ms - 5 * HOUR_MS), "2001-01-01T00:00:00Z"
    start = {"event": "start", "player_id": player, "country": country}
    asked = {
        ("/api/v1/events/", "POST", "201"): 3,
        ("/api/v1/events/", "POST", "400"): 2,
        ("/event-handler", "POST", "204"): 4,
        ("/by-country/{country}/{hours}", "GET", "200"): 5,
        ("/api/v1/reports/players/{player_id}/sessions/", "GET", "400"): 1,
        ("other", "GET", "404"): 2,
    }
    for _ in range(3):
        assert service.post("/api/v1/events/", [start, {**start, "ts": late}, {**start, "ts": old}]) == 201
    for _ in range(2):
        assert service.post("/api/v1/events/", [start, {**start, "event": "no"}]) == 400
    for _ in range(4):
        assert service.post("/event-handler", start) == 204
    for _ in range(5):
        assert service.get(f"/by-country/{country}/24") == 200
    assert service.get(f"/api/v1/reports/players/{player}/sessions/?limit=no") == 400
    for number in range(2):
        assert service.get(f"/nothing/{player}/{number}") == 404
    numbers = service.numbers()
    assert requests(numbers) == asked
    events = {key[1:]: value for key, value in numbers.items() if key[0] == "player_sessions_events_total"}
    assert events == {("api", "stored"): 6, ("api", "discarded"): 3, ("api", "invalid"): 2, ("legacy", "stored"): 4}
    assert numbers["player_sessions_event_age_seconds_count",] == 10
    assert numbers["player_sessions_event_age_seconds_bucket", "3600.0"] == 7
    assert numbers["player_sessions_event_age_seconds_bucket", "21600.0"] == 10
    assert numbers["player_sessions_http_problems_total", "invalid_input"] == 3
    assert numbers["player_sessions_http_problems_total", "not_found"] == 2
    report = (f"{DURATION}_count", "/by-country/{country}/{hours}", "GET", "200")
    assert 1 <= numbers[(*report, "service")] <= 2  # one in each worker
    assert numbers[(*report, "memory")] == 5 - numbers[(*report, "service")]
    # The other worker found the first one's.
    assert numbers["player_sessions_redis_results_total", "miss"] == 1
    assert numbers.get(("player_sessions_redis_results_total", "hit"), 0) == numbers[(*report, "service")] - 1
    # Seven batches that stored something, and three markers of late starts, each once.
    assert numbers["player_sessions_store_write_statements_count",] == 10
    assert numbers["player_sessions_store_statements_total", "batch", "answered"] >= 1
    assert numbers["player_sessions_workers",] == 2


def test_what_a_worker_has_counted_stays_when_it_dies(measured: Callable[..., Measured]) -> None:
    service = measured()
    for _ in range(20):
        assert service.get("/nothing") == 404
    before = service.numbers()
    assert requests(before) == {("other", "GET", "404"): 20}
    assert before["player_sessions_workers_ended_total",] == 0
    workers, _ = service.children()
    assert len(workers) == 2
    for worker in workers:
        worker.kill()
    deadline = time.monotonic() + 20
    while (after := service.numbers())["player_sessions_workers",] < 2:
        assert time.monotonic() < deadline, "no new workers"
    assert requests(after)["other", "GET", "404"] == 20
    while (ended := service.numbers()["player_sessions_workers_ended_total",]) < 2:
        assert time.monotonic() < deadline, f"{ended} workers ended"
        time.sleep(0.2)
    after = service.numbers()
    assert after["player_sessions_workers_ended_total",] == 2
    assert requests(after)["other", "GET", "404"] == 20
    cpu = "player_sessions_worker_cpu_seconds_total"
    assert after[cpu,] > before[cpu,]


def test_another_exporter_follows_one_that_dies(measured: Callable[..., Measured]) -> None:
    service = measured()
    assert service.get("/nothing") == 404
    _, [exporter] = service.children()
    exporter.kill()
    deadline = time.monotonic() + 20
    while True:
        try:
            numbers = service.numbers()
        except OSError:
            numbers = {}
        if numbers.get(("player_sessions_workers",)) == 2:
            break
        assert time.monotonic() < deadline, "no new exporter"
    assert requests(numbers) == {("other", "GET", "404"): 1}


def test_a_worker_that_connects_anew_has_not_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the exporter was too busy to take a line, the worker's old connection ends before or after its new one.

    A counter that went down again would look like a restart, and add what it had before.
    """
    workers = Workers()
    key = ("player_sessions_http_problems_total", "overloaded")
    workers.update(Snapshot("one", [(key, [5])], []))
    workers.disconnect("one")
    numbers = workers.numbers()
    assert (numbers[key], numbers["player_sessions_workers",]) == ([5], [0])
    assert numbers["player_sessions_workers_ended_total",] == [0]
    workers.update(Snapshot("one", [(key, [7])], []))
    workers.update(Snapshot("two", [(key, [100])], []))
    numbers = workers.numbers()
    assert numbers[key] == [107]
    assert numbers["player_sessions_workers_ended_total",] == [0]
    assert numbers["player_sessions_workers",] == [2]
    monkeypatch.setattr(exporter, "SECONDS_TO_COME_BACK", 0.0)
    workers.disconnect("one")
    time.sleep(0.01)
    numbers = workers.numbers()
    assert numbers[key] == [107]
    assert numbers["player_sessions_workers_ended_total",] == [1]


def test_of_ages_that_of_the_worker_where_it_is_largest_is_told() -> None:
    workers = Workers()
    for worker, seconds in (("one", 2.0), ("two", 40.0), ("three", 1.0)):
        workers.update(Snapshot(worker, [], [((KEY_SET_AGE.name,), seconds), ((WORKER_MEMORY.name,), 100)]))
    numbers = workers.numbers()
    assert (numbers[KEY_SET_AGE.name,], numbers[WORKER_MEMORY.name,]) == ([40], [300])


def test_the_age_of_the_keys_grows_when_they_cannot_be_read(measured: Callable[..., Measured]) -> None:
    read = measured(AUTH="keys", WEB_WORKERS="1")
    unread = measured(AUTH="keys", WEB_WORKERS="1", CASSANDRA_PORT=str(free_port()))
    deadline = time.monotonic() + 20
    while (age := unread.numbers()[KEY_SET_AGE.name,]) < 6:
        assert time.monotonic() < deadline, age
    assert read.numbers()[KEY_SET_AGE.name,] < 5


def test_metrics_are_there_without_cassandra_in_both_formats(measured: Callable[..., Measured]) -> None:
    service = measured(CASSANDRA_PORT=str(free_port()))
    assert service.get("/by-player/nobody") == 503
    exposition = service.exposition()
    assert {family.name for family in parse_prometheus(exposition)} == {name.removesuffix("_total") for name in METRICS}
    exposition = service.exposition(accept="application/openmetrics-text; version=1.0.0")
    assert exposition.endswith("# EOF\n")
    families = {family.name: family for family in parse_openmetrics(exposition)}
    [problems] = families["player_sessions_http_problems"].samples
    assert (problems.labels, problems.value) == ({"code": "store_unavailable"}, 1)


def test_a_taken_port_keeps_nobody_from_serving(measured: Callable[..., Measured]) -> None:
    first = measured(WEB_WORKERS="1")
    second = Measured.__new__(Measured)
    second.port = first.port
    second.web = first.web.__class__(METRICS_PORT=str(first.port), WEB_WORKERS="1")
    try:
        assert second.get("/livez") == 200
        first.web.stop()
        deadline = time.monotonic() + 20
        while True:  # it tries again and again
            try:
                assert second.numbers()["player_sessions_workers",] == 1
                break
            except OSError:
                assert time.monotonic() < deadline, "nobody serves metrics"
    finally:
        second.web.stop()


def test_the_exporter_ends_with_the_service_and_leaves_nothing(measured: Callable[..., Measured]) -> None:
    service = measured(WEB_WORKERS="1")
    _, [exporter] = service.children()
    folder = Path(exporter.cmdline()[-1]).parent
    assert folder.is_dir()
    service.web.stop()
    exporter.wait(10)
    assert not folder.exists()


def test_port_0_is_for_no_metrics(measured: Callable[..., Measured], web_server: Callable[..., WebServer]) -> None:
    service = Measured.__new__(Measured)
    service.web = web_server(METRICS_PORT="0", WEB_WORKERS="1")
    workers, exporters = service.children()
    assert (len(workers), exporters) == (1, [])


def test_an_import_writes_its_numbers_into_a_file(tmp_path: Path, player: str, country: str, now_ms: int) -> None:
    lines = lines_of(player, country, now_ms) + lines_of(player, country, now_ms - 400 * DAY_MS) + "no json\n"
    (tmp_path / "dump").write_text(lines)
    ended = manage("import_sessions", "dump", "--metrics", "import.prom", cwd=tmp_path)
    assert ended.returncode == 1  # for the line that is rejected
    text = (tmp_path / "import.prom").read_text()
    numbers = numbers_of(text)
    events = {key[2]: value for key, value in numbers.items() if key[:2] == ("player_sessions_events_total", "import")}
    assert events == {"stored": 10, "discarded": 10, "invalid": 1}
    assert numbers["player_sessions_import_position_bytes",] == len(lines)
    assert numbers["player_sessions_import_size_bytes",] == len(lines)
    assert numbers["player_sessions_import_ended",] == 1
    assert numbers["player_sessions_import_waiting",] == 0
    assert {metric.name for metric in OF_IMPORTS} < {key[0] for key in numbers}
    assert [path.name for path in tmp_path.glob("*.new")] == []


def test_an_import_writes_no_numbers_over_another_file(tmp_path: Path) -> None:
    (tmp_path / "dump").write_text("{}\n")
    ended = manage("import_sessions", "dump", "--metrics", "dump", cwd=tmp_path)
    assert ended.returncode == 2
    assert "'dump' does not end in .prom" in ended.stderr
    assert (tmp_path / "dump").read_text() == "{}\n"


# --- Files for Prometheus and Grafana ---------------------------------------------------------------------------------


def test_promtool_has_nothing_to_say_of_the_exposition(promtool: str, measured: Callable[..., Measured]) -> None:
    service = measured(WEB_WORKERS="1")
    service.get("/nothing")
    ended = subprocess.run([promtool, "check", "metrics"], input=service.exposition(), capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_every_alert_is_set_off_by_what_it_is_for(promtool: str) -> None:
    ended = subprocess.run(
        [promtool, "test", "rules", "alerts.test.yml"], cwd=DEPLOY / "prometheus", capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_every_alert_has_a_test_and_says_what_to_do() -> None:
    alerts = (DEPLOY / "prometheus/alerts.yml").read_text()
    names = set(re.findall(r"alert: (\w+)", alerts))
    tests = (DEPLOY / "prometheus/alerts.test.yml").read_text()
    assert names == set(re.findall(r"alertname: (\w+), exp_alerts: \[\]", tests))
    assert names == set(re.findall(r"""alertname="(\w+)"}', value: 1""", tests))
    assert alerts.count("action: ") == len(names)
    operations = (PROJECT / "docs/how-to/operate.md").read_text()
    assert names == set(re.findall(r"^\| alert `(\w+)` \|", operations, re.MULTILINE))
    for page, anchor in re.findall(r"(docs/[\w/-]+\.md)(?:#([\w-]+))?", alerts):
        headings = re.findall(r"^#+ (.+)$", (PROJECT / page).read_text(), re.MULTILINE)
        assert not anchor or anchor in {heading.lower().replace(" ", "-") for heading in headings}


def queries() -> Iterator[str]:
    dashboard = json.loads((DEPLOY / "grafana/dashboards/player-sessions.json").read_text())
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    alerts = (DEPLOY / "prometheus/alerts.yml").read_text()
    yield from re.findall(r"expr: (.+?)\n        (?:for|labels)", alerts, re.DOTALL)


def test_queries_ask_for_metrics_and_labels_that_there_are() -> None:
    asked, known = [*queries()], {**METRICS, **{metric.name: metric for metric in OF_COMMANDS}}
    assert len(asked) > 25
    for query in asked:
        names = set(re.findall(r"\bplayer_sessions_\w+", query))
        labels = {"le", "instance", "job"}
        for name in names:
            base = re.sub(r"_(bucket|sum|count)$", "", name)
            assert name in known or isinstance(known.get(base), Histogram), name
            labels |= {*known[name if name in known else base].labels}
        used = set(re.findall(r"(\w+)(?:=~|!=|=|!~)\"", query))
        used |= {one for group in re.findall(r"by \(([\w, ]+)\)", query) for one in group.split(", ")}
        assert not names or used <= labels, query


def test_every_metric_is_shown_on_the_dashboard() -> None:
    shown = " ".join(queries())
    for name, metric in METRICS.items():
        assert re.search(rf"\b{name}{'_(bucket|sum|count)' if isinstance(metric, Histogram) else ''}\b", shown), name


def test_names_and_units_are_those_of_the_conventions() -> None:
    for name, metric in METRICS.items():
        assert re.fullmatch(r"player_sessions_[a-z][a-z_]+", name)
        assert name.endswith("_total") == isinstance(metric, Counter), name
        assert metric.help.endswith("."), name
        assert not re.search(r"_(ms|milliseconds|minutes|kb|mb|percent)(_|$)", name)
    assert 0.5 in REQUEST_DURATION.bounds  # the goal
