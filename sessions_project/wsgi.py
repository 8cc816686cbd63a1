"""The WSGI application. A server imports this module once in each worker, after any fork: here the worker connects."""

import logging
import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sessions_project.settings")
django_application = get_wsgi_application()

from django.conf import settings  # noqa: E402  # it must be set up first

from sessions_project import cassandra  # noqa: E402
from sessions_project.admission import Admission  # noqa: E402

application = Admission(django_application, working=settings.WEB_THREADS)

try:
    cassandra.connect()
except cassandra.StoreUnavailable:
    # Serve all the same: requests get 503 and try again, /readyz tells why.
    logging.getLogger(__name__).warning("Serving without Cassandra; every request tries to connect.")
