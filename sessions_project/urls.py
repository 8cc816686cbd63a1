"""Every address of the service."""

from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView

from sessions_project.api_root import ApiRootView
from sessions_project.docs_pages import RedocPage, SwaggerPage
from sessions_project.health import livez, readyz

urlpatterns = [
    path("", include("events.api.urls")),
    path("", include("reports.urls")),
    path("", include("dashboard.urls")),
    path(
        "api/",
        RedirectView.as_view(pattern_name="api-root", query_string=True, http_method_names=["get", "head"]),
        name="api",
    ),
    path("api/v1/", ApiRootView.as_view(), name="api-root"),
    path("api/v1/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/v1/docs/", SwaggerPage.as_view(url_name="schema"), name="docs"),
    path("api/v1/redoc/", RedocPage.as_view(url_name="schema"), name="redoc"),
    # HealthMiddleware answers these before; here they have their names.
    path("livez", livez, name="livez"),
    path("readyz", readyz, name="readyz"),
]

handler400 = "web.problems.bad_request"
handler404 = "web.problems.not_found"
handler500 = "web.problems.server_error"
