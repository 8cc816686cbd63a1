"""A Cassandra that speaks nothing but TLS, and asks for certificates and passwords."""

import os
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import Cluster

from conftest import QuickNode, WebServer, free_cassandra_port, manage
from embedded.cassandra import READY_SECONDS
from embedded.java import java_executable
from embedded.process import port_is_taken
from tests.faults.ledger import ask, wait_until_stored

pytestmark = pytest.mark.own_node

KEYSPACE = "player_sessions"
PASSWORD = "changeit"  # of a key that nobody else has, and of roles
# The first role of every Cassandra.
ADMIN = {"CASSANDRA_USER": "cassandra", "CASSANDRA_PASSWORD": "cassandra"}


class SecuredNode(QuickNode):
    """With a certificate of its own, which is its authority's too."""

    @property
    def keys(self) -> Path:
        return self.folder.parent / "keys.p12"

    def configuration(self) -> dict[str, Any]:
        tls = {"enabled": True, "optional": False, "keystore": str(self.keys), "keystore_password": PASSWORD}
        # Its own certificate is the only one that it takes of clients, too.
        clients = {"require_client_auth": True, "truststore": str(self.keys), "truststore_password": PASSWORD}
        return {
            **super().configuration(),
            "client_encryption_options": {**tls, **clients, "store_type": "PKCS12"},
            "authenticator": {"class_name": "PasswordAuthenticator"},
            "authorizer": {"class_name": "CassandraAuthorizer"},
        }

    def command(self, *arguments: Any) -> list[str | Path]:
        java, *rest = super().command(*arguments)
        return [java, "-Dcassandra.superuser_setup_delay_ms=0", *rest]


class Secured(NamedTuple):
    node: SecuredNode
    authority: Path

    def environment(self, **more: str) -> dict[str, str]:
        return {
            "CASSANDRA_PORT": str(self.node.port),
            "CASSANDRA_KEYSPACE": KEYSPACE,
            "CASSANDRA_CA_FILE": str(self.authority),
            "CASSANDRA_CERT_FILE": str(self.authority),
            "CASSANDRA_KEY_FILE": str(self.authority.with_suffix(".key")),
            "CASSANDRA_CHECK_NAMES": "True",
            "DJANGO_SETTINGS_MODULE": "sessions_project.settings",
            **more,
        }

    def sync(self, **more: str) -> subprocess.CompletedProcess[str]:
        return manage("sync_cassandra", env={**os.environ, **self.environment(**more)})

    def new_role(self, name: str, *rights: str) -> dict[str, str]:
        """The settings of a service that uses the new role, which has these rights in the keyspace."""
        context = ssl.create_default_context(cafile=str(self.authority))
        context.load_cert_chain(self.authority, self.authority.with_suffix(".key"))
        cluster = Cluster(
            ["127.0.0.1"],
            port=self.node.port,
            ssl_context=context,
            auth_provider=PlainTextAuthProvider(*ADMIN.values()),
        )
        with cluster, cluster.connect() as session:
            session.execute(f"CREATE ROLE {name} WITH LOGIN = true AND PASSWORD = '{PASSWORD}'")
            for right in rights:
                session.execute(f"GRANT {right} ON KEYSPACE {KEYSPACE} TO {name}")
        return self.environment(CASSANDRA_USER=name, CASSANDRA_PASSWORD=PASSWORD)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("secured")
    node = SecuredNode(folder=folder, port=free_cassandra_port())
    secured = Secured(node, certificate(node.keys))
    try:
        node.start()
        give_up_at = time.monotonic() + READY_SECONDS
        while not port_is_taken(node.address):  # a command that fails takes as much of the machine as the node's start
            assert time.monotonic() < give_up_at
            time.sleep(0.2)
        while (synced := secured.sync(**ADMIN)).returncode:
            assert time.monotonic() < give_up_at, synced.stderr
        yield secured
    finally:
        node.kill()


def certificate(keys: Path, *, address: str = "127.0.0.1") -> Path:
    """Makes a key pair, whose key is in a .key file; the PEM file of its certificate, which names the address."""
    keytool = java_executable().with_name("keytool")
    store = ["-keystore", str(keys), "-storetype", "PKCS12", "-storepass", PASSWORD, "-alias", "node"]
    make = [keytool, "-genkeypair", *store, "-keyalg", "RSA", "-dname", "CN=node", "-ext", f"SAN=ip:{address}"]
    subprocess.run(make, check=True, capture_output=True)
    pem = keys.with_suffix(".pem")
    unpack = ["openssl", "pkcs12", "-in", str(keys), "-passin", f"pass:{PASSWORD}"]  # a start of keytool's takes longer
    for options in (["-nokeys", "-out", str(pem)], ["-nocerts", "-nodes", "-out", str(pem.with_suffix(".key"))]):
        subprocess.run([*unpack, *options], check=True, capture_output=True)
    return pem


def test_a_role_that_may_read_and_write_is_enough(secured: Secured, web_server: Callable[..., WebServer]) -> None:
    web = web_server(**secured.new_role("service", "SELECT", "MODIFY"), WEB_WORKERS="1")
    wait_until_stored(web.url, seconds=10)
    reply, report = ask(f"{web.url}/by-player/is_it_back")
    assert reply.status == 200
    assert report


def test_a_role_that_may_not_write_is_named(
    secured: Secured, web_server: Callable[..., WebServer], tmp_path: Path
) -> None:
    log = tmp_path / "web.log"
    web = web_server(log=log, **secured.new_role("reader", "SELECT"), WEB_WORKERS="1")
    reply, _ = ask(f"{web.url}/api/v1/events/", {"event": "end", "player_id": "nobody"})
    assert (reply.status, reply.retry_after) == (500, None)  # sending it again is in vain
    assert "may CASSANDRA_USER read and write them? " in log.read_text()
    assert "User reader has no MODIFY permission" in log.read_text()


@pytest.mark.parametrize("password", ["wrong", ""])
def test_a_wrong_password_is_named(secured: Secured, password: str) -> None:
    ended = secured.sync(CASSANDRA_USER="cassandra", CASSANDRA_PASSWORD=password)
    assert ended.returncode == 1
    assert "CommandError: Cassandra does not answer" in ended.stderr
    assert "Bad credentials" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_node_of_another_authority_is_not_trusted(secured: Secured, tmp_path: Path) -> None:
    for authority in ("", str(certificate(tmp_path / "other.p12"))):
        ended = secured.sync(CASSANDRA_CA_FILE=authority, **ADMIN)
        assert ended.returncode == 1
        assert "CommandError: Cassandra does not answer" in ended.stderr
        assert "Traceback" not in ended.stderr


def test_a_client_without_a_certificate_is_refused(secured: Secured) -> None:
    ended = secured.sync(CASSANDRA_CERT_FILE="", CASSANDRA_KEY_FILE="", **ADMIN)
    assert ended.returncode == 1
    assert "CommandError: Cassandra does not answer" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(("checks_names", "is_mismatch"), [("True", True), ("False", False)])
def test_a_node_whose_certificate_names_another_address_is_refused_when_names_are_checked(
    tmp_path: Path, checks_names: str, is_mismatch: bool
) -> None:
    authority = certificate(tmp_path / "other.p12", address="127.0.0.9")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority, authority.with_suffix(".key"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_greet, args=(listener, context), daemon=True).start()
        own = {
            "CASSANDRA_PORT": str(listener.getsockname()[1]),
            "CASSANDRA_CA_FILE": str(authority),
            "CASSANDRA_CHECK_NAMES": checks_names,
        }
        ended = manage("sync_cassandra", env={**os.environ, **own})
    assert ended.returncode == 1  # it is no Cassandra
    assert ("IP address mismatch" in ended.stderr) == is_mismatch, ended.stderr


def _greet(listener: socket.socket, context: ssl.SSLContext) -> None:
    """Speak TLS with whoever comes, and no more."""
    while True:
        try:
            connection, _ = listener.accept()
            context.wrap_socket(connection, server_side=True).close()
        except ssl.SSLError:
            connection.close()
        except OSError:
            return
