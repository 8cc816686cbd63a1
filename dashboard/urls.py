"""The page's address, that of its script, and that of the icon for browsers that ask for it by its old name."""

from django.urls import path

from dashboard.views import favicon, page, script

urlpatterns = [
    path("", page, name="page"),
    path("page.js", script, name="page-script"),
    path("favicon.ico", favicon, name="favicon"),
]
