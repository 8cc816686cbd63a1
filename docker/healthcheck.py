"""The container's health check: ends with status 0 when /livez answers 200, and with an error otherwise."""

import os
import urllib.request

# Django answers 400 to a host that ALLOWED_HOSTS does not name, and 127.0.0.1 need not be among them.
allowed = os.environ.get("ALLOWED_HOSTS", "").split(",")[0].strip().lstrip(".")
host = allowed if allowed not in ("", "*") else "localhost"
request = urllib.request.Request(f"http://127.0.0.1:{os.environ.get('PORT') or '8000'}/livez", headers={"Host": host})
# An http_proxy that Docker hands to every container must not be asked for our own address.
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
opener.open(request, timeout=3).close()
