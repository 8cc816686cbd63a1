"""Django, DRF and the driver as small as they can be: one view that asks the store for a player's sessions."""

import os

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.urls import path

settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["rest_framework"],
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    SECRET_KEY=os.urandom(16).hex(),
    USE_TZ=True,
    REST_FRAMEWORK={"UNAUTHENTICATED_USER": None, "DEFAULT_AUTHENTICATION_CLASSES": []},
)
django.setup()

# They read the settings.
from rest_framework.request import Request  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402

from benchmarks.apps.store import connect, prepare  # noqa: E402

session = connect()
SELECT_SESSIONS = prepare(
    session, "SELECT session_id, country FROM {keyspace}.session_by_player_id WHERE player_id = ? LIMIT 20"
)


class PlayerView(APIView):
    """The sessions of a player."""

    def get(self, request: Request, player_id: str) -> Response:
        """Answer with the first of them."""
        rows = session.execute(SELECT_SESSIONS, (player_id,))
        return Response([{"session_id": str(session_id), "country": country} for session_id, country in rows])


urlpatterns = [path("players/<str:player_id>", PlayerView.as_view())]
application = get_wsgi_application()
