"""``python -m sessions_project``: serve over HTTP, with the server and the options that production uses.

HOST, PORT, WEB_WORKERS and WEB_THREADS change them, METRICS_HOST and METRICS_PORT where metrics are served. Any
Granian option can be given after the command.
"""

import logging
import os
import socket
import sys

import django
from django.conf import settings


def main() -> None:
    """Check the settings, then become the server process: signals reach it directly."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sessions_project.settings")
    django.setup()
    # These modules read the settings when they are imported.
    from metrics import sender, supervisor
    from sessions_project.checks import check_settings, refuse
    from sessions_project.startup import startup_report

    refuse(check_settings(None))
    address = numeric_address("HOST")
    refuse_a_taken_port(address, settings.PORT)
    # The report says what is wrong with the store; the log would say it a second time.
    logging.getLogger("store").setLevel(logging.CRITICAL)
    print(startup_report(), flush=True)
    if settings.METRICS_PORT:
        # The settings may come from a .env file, which the server does not read.
        os.environ["METRICS_HOST"] = numeric_address("METRICS_HOST")
        os.environ["METRICS_PORT"] = str(settings.METRICS_PORT)
        os.environ[sender.SOCKET_VARIABLE] = str(supervisor.new_socket())
    os.execv(sys.executable, server_command(address))


def server_command(address: str) -> list[str]:
    """Return the command of the server, with the options of this one behind our own."""
    from web.server_threads import server_threads
    from web.transport import MOST_DRAINING

    return [
        sys.executable,
        "-m",
        "sessions_project.server",
        "--interface=wsgi",
        f"--host={address}",
        f"--port={settings.PORT}",
        f"--workers={settings.WEB_WORKERS}",
        f"--blocking-threads={server_threads(working=settings.WEB_THREADS) + MOST_DRAINING}",
        f"--http1-header-read-timeout={settings.KEEP_ALIVE_SECONDS * 1000}",
        "--respawn-failed-workers",
        "--workers-kill-timeout=10",
        "--no-ws",
        "--log-level=warning",
        *sys.argv[1:],
        "sessions_project.wsgi:application",
    ]


def numeric_address(setting: str) -> str:
    """Return the address of the host in a setting, because the server takes no names; IPv4 if there are several."""
    host = getattr(settings, setting)
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        return str(min(found, key=lambda one: one[0] != socket.AF_INET)[4][0])
    except (OSError, UnicodeError) as error:
        sys.exit(f"{setting} is {host!r}: {error}. Write an address of this machine, such as 127.0.0.1.")


def refuse_a_taken_port(host: str, port: int) -> None:
    """Exit when another program listens there: both would share the port, and each would get some of the requests."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return  # nobody listens there; what else is wrong with the address, the server says
    sys.exit(f"Another program listens on {host}:{port}. Stop it, or choose another PORT.")


if __name__ == "__main__":
    main()
