"""Bad settings are refused with a hint before anything starts."""

import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable

import certifi
import pytest

from conftest import PROJECT, WebServer
from events.domain import Event
from events.services import record_events

PRODUCTION = {
    "ENVIRONMENT": "production",
    "SECRET_KEY": "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghij",
    "ALLOWED_HOSTS": "example.org",
    "AUTH": "keys",
}


def check(module: str = "manage.py check", *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    values = {"DJANGO_SETTINGS_MODULE": "sessions_project.settings", **environment}
    command = [sys.executable, *module.split(), *arguments]
    return subprocess.run(
        command, cwd=PROJECT, env={**os.environ, **values}, capture_output=True, text=True, timeout=30, check=False
    )


def test_the_defaults_are_good():
    assert check().returncode == 0


def test_production_is_good_with_a_key_and_hosts():
    good = check(**PRODUCTION)
    assert good.returncode == 0, good.stderr
    assert "no issues" in good.stdout


def test_a_good_production_passes_the_checks_of_a_deployment():
    good = check("manage.py check --deploy --fail-level WARNING", **PRODUCTION)
    assert good.returncode == 0, good.stderr


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"AUTH": "none"}, "W001"),
        ({"CASSANDRA_HOST": "10.0.0.1"}, "Write CASSANDRA_HOSTS, if that is meant."),
        ({"EVENT_PER_SECOND": "1"}, "Write EVENTS_PER_SECOND, if that is meant."),
        ({"ALLOWED_HOSTS": "*"}, "W003"),
        ({"CASSANDRA_USER": "a", "CASSANDRA_PASSWORD": "hidden", "CASSANDRA_HOSTS": "10.0.0.1"}, "W004"),
        ({"REDIS_URL": "redis://:hidden@10.0.0.1/0"}, "W005"),
        ({"SECRET_KEY": "hidden"}, "security.W009"),
    ],
)
def test_what_is_not_safe_on_a_network_is_said(environment, said):
    warned = check("manage.py check --deploy --fail-level WARNING", **{**PRODUCTION, **environment})
    assert warned.returncode == 1
    assert said in warned.stderr
    assert "hidden" not in warned.stderr


def test_variables_of_other_programs_are_none_of_ours():
    others = {
        "CASSANDRA_HOME": "/x",
        "REDIS_PORT": "tcp://10.0.0.1:6379",
        "REDIS_SERVICE_HOST": "10.0.0.1",
        "HOSTNAME": "x",
    }
    assert "no issues" in check(**others).stdout


def test_the_warning_that_nobody_needs_a_key_is_said_at_every_start(web_server, tmp_path):
    log = tmp_path / "log"
    web_server(log=log, **{**PRODUCTION, "AUTH": "none", "ALLOWED_HOSTS": "127.0.0.1"}, WEB_WORKERS="1")
    assert "everybody who reaches the service may store events" in log.read_text()


def test_a_password_in_a_bad_address_of_redis_is_not_shown():
    refused = check(REDIS_URL="//:hidden@host/0")
    assert refused.returncode == 1
    assert "E040" in refused.stderr
    assert "hidden" not in refused.stderr + refused.stdout


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"ENVIRONMENT": "staging"}, "E001"),
        ({"ENVIRONMENT": "production", "ALLOWED_HOSTS": "a"}, "E002"),
        ({"ENVIRONMENT": "production", "SECRET_KEY": "x" * 50}, "E003"),
        ({"ENVIRONMENT": "production", "SECRET_KEY": "x" * 50, "ALLOWED_HOSTS": "a", "DEBUG": "1"}, "E004"),
        ({"ENVIRONMENT": "production", "SECRET_KEY": "x" * 50, "ALLOWED_HOSTS": "a"}, "E005"),
        ({"AUTH": "some"}, "E005"),
        ({"DEBUG": "yes", "HOST": "0.0.0.0"}, "E006"),
        ({"DEBUG": "maybe"}, "Write True or False."),
        ({"EVENTS_PER_SECOND": "-1"}, "EVENTS_PER_SECOND is -1."),
        (
            {"CASSANDRA_CA_FILE": certifi.where(), "CASSANDRA_CERT_FILE": "/nowhere.pem"},
            "Write the path of a PEM file.",
        ),
        ({"RETENTION_SECONDS": "0"}, "E010"),
        ({"RETENTION_SECONDS": "700000000"}, "E010"),
        ({"RETENTION_SECONDS": "a year"}, "Write a number, such as 31557600."),
        ({"CASSANDRA_PORT": "0"}, "CASSANDRA_PORT is 0."),
        ({"WEB_THREADS": "0"}, "WEB_THREADS is 0."),
        ({"WEB_WORKERS": "two"}, "WEB_WORKERS is 'two'."),
        ({"KEEP_ALIVE_SECONDS": "0"}, "KEEP_ALIVE_SECONDS is 0."),
        ({"CASSANDRA_KEYSPACE": "it's"}, "E031"),
        ({"CASSANDRA_REPLICATION": "three"}, "E032"),
        ({"COUNTRY_SHARDS": "0"}, "E033"),
        ({"REDIS_URL": "127.0.0.1"}, "E040"),
        ({"CASSANDRA_CA_FILE": "/nowhere.pem"}, "Write the path of a PEM file."),
        ({"LOG_LEVEL": "loud"}, "Write DEBUG, INFO, WARNING or ERROR."),
    ],
)
def test_a_bad_value_is_refused_with_a_hint(environment, said):
    refused = check(**environment)
    assert refused.returncode == 1
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr
    assert "HINT: Write" in refused.stderr or ". Write " in refused.stderr


@pytest.mark.parametrize(
    ("environment", "setting", "value"),
    [
        ({"CASSANDRA_REPLICATION": " one = 3 , two=2"}, "REPLICATION_FACTORS", {"one": "3", "two": "2"}),
        ({"CASSANDRA_PASSWORD": "$ecret", "ecret": "other"}, "CASSANDRA_PASSWORD", "$ecret"),
        ({"SECRET_KEY": "$" * 50}, "SECRET_KEY", "$" * 50),
        ({"ALLOWED_HOSTS": ""}, "ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"]),
        ({"ALLOWED_HOSTS": "a.example, b.example,"}, "ALLOWED_HOSTS", ["a.example", "b.example"]),
    ],
)
def test_a_value_is_taken_as_it_stands(environment, setting, value):
    show = f"from django.conf import settings; print(repr(settings.{setting}))"
    assert check("manage.py shell --no-imports -c", show, **environment).stdout == f"{value!r}\n"


@pytest.mark.parametrize(("environment", "status"), [("production", 406), ("development", 200)])
def test_the_browsable_api_is_for_development(web_server, environment, status):
    web = web_server(
        ENVIRONMENT=environment, SECRET_KEY="x" * 50, ALLOWED_HOSTS="127.0.0.1", AUTH="none", WEB_WORKERS="1"
    )
    request = urllib.request.Request(f"{web.url}/api/v1/reports/starts/", headers={"Accept": "text/html"})
    try:
        with urllib.request.urlopen(request) as reply:
            shown = reply.status
    except urllib.error.HTTPError as error:
        shown = error.code
    assert shown == status


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_server_refuses_a_port_that_is_taken(host):
    try:
        listener = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError:
        pytest.skip(f"this machine has no {host}")
    with listener:
        port = listener.getsockname()[1]
        refused = check("-m sessions_project", HOST=host, PORT=str(port))
    assert refused.returncode == 1
    assert f"Another program listens on {host}:{port}." in refused.stderr


def test_the_server_takes_a_name_of_this_machine(web_server):
    assert web_server(HOST="localhost", WEB_WORKERS="1").process.poll() is None


@pytest.mark.parametrize("host", ["web..local", "fe80::1%nowhere"])
def test_the_server_refuses_a_name_that_is_none(host):
    refused = check("-m sessions_project", HOST=host)
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"HOST is '{host}': ")
    assert "Traceback" not in refused.stderr


def test_the_server_refuses_them_too():
    refused = check("-m sessions_project", COUNTRY_SHARDS="0")
    assert refused.returncode == 1
    assert "E033" in refused.stderr


@pytest.mark.parametrize(("behind", "scheme"), [("True", "https"), ("False", "http")])
def test_links_have_the_scheme_that_the_proxy_tells(
    web_server: Callable[..., WebServer], country: str, now_ms: int, behind: str, scheme: str
) -> None:
    for number in range(2):
        record_events([Event("start", "p", uuid.uuid4(), now_ms - number, country)], now_ms=now_ms)
    web = web_server(BEHIND_TLS_PROXY=behind, WEB_WORKERS="1", REPORT_CACHE_SECONDS="50")
    address = f"{web.url}/api/v1/reports/starts/{country}/?limit=1"

    def following(**headers: str) -> str:
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers)) as reply:
            return json.load(reply)["next"].partition(":")[0]

    assert [following(**{"X-Forwarded-Proto": "https"}), following()] == [scheme, "http"]
