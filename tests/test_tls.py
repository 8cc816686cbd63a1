"""A Cassandra that speaks nothing but TLS."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from conftest import WebServer, free_cassandra_port, manage
from embedded.cassandra import READY_SECONDS, CassandraNode
from embedded.java import java_executable
from tests.faults.ledger import wait_until_stored

pytestmark = pytest.mark.own_node

PASSWORD = "changeit"  # of a key that nobody else has


class EncryptedNode(CassandraNode):
    """With a certificate of its own, which is its authority's too."""

    @property
    def keys(self) -> Path:
        return self.folder.parent / "keys.p12"

    def configuration(self) -> dict[str, Any]:
        tls = {"enabled": True, "optional": False, "keystore": str(self.keys), "keystore_password": PASSWORD}
        return {**super().configuration(), "client_encryption_options": {**tls, "store_type": "PKCS12"}}


class Encrypted(NamedTuple):
    node: CassandraNode
    authority: Path

    def environment(self, **more: str) -> dict[str, str]:
        return {
            "CASSANDRA_PORT": str(self.node.port),
            "CASSANDRA_KEYSPACE": "player_sessions",
            "DJANGO_SETTINGS_MODULE": "sessions_project.settings",
            **more,
        }

    def sync(self, **more: str) -> subprocess.CompletedProcess[str]:
        return manage("sync_cassandra", env={**os.environ, **self.environment(**more)})


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Encrypted]:
    folder = tmp_path_factory.mktemp("tls")
    node = EncryptedNode(folder=folder, port=free_cassandra_port())
    authority = certificate(node.keys)
    node.start()
    encrypted = Encrypted(node, authority)
    give_up_at = time.monotonic() + READY_SECONDS
    while (told := encrypted.sync(CASSANDRA_CA_FILE=str(authority))).returncode:
        assert time.monotonic() < give_up_at, told.stderr
    yield encrypted
    node.stop()


def certificate(keys: Path) -> Path:
    """Makes a key pair; the PEM file of its certificate."""
    keytool = java_executable().with_name("keytool")
    store = ["-keystore", str(keys), "-storetype", "PKCS12", "-storepass", PASSWORD, "-alias", "node"]
    make = [keytool, "-genkeypair", *store, "-keyalg", "RSA", "-dname", "CN=node", "-validity", "7"]
    subprocess.run(make, check=True, capture_output=True)
    told = subprocess.run([keytool, "-exportcert", "-rfc", *store], check=True, capture_output=True, text=True)
    pem = keys.with_suffix(".pem")
    pem.write_text(told.stdout)
    return pem


def test_it_works(encrypted: Encrypted, web_server: Callable[..., WebServer]) -> None:
    web = web_server(**encrypted.environment(CASSANDRA_CA_FILE=str(encrypted.authority)), WEB_WORKERS="1")
    wait_until_stored(web.url, seconds=10)


def test_a_node_of_another_authority_is_not_trusted(encrypted: Encrypted, tmp_path: Path) -> None:
    for more in ({}, {"CASSANDRA_CA_FILE": str(certificate(tmp_path / "other.p12"))}):
        told = encrypted.sync(**more)
        assert told.returncode == 1
        assert "CommandError: Cassandra does not answer" in told.stderr
        assert "Traceback" not in told.stderr
