"""Where replies of reports are cached for their 50 s, by their question, and built by one request at a time.

``replies`` is the one form in which they are stored, ``memory`` the tier of a process, ``redis`` the backend of
cache_page, and ``single_flight`` lets one request build what many ask for. What is cached, and for how long, is
declared in ``reports/urls.py``. Imports ``web`` and ``store``; ``events`` and ``reports`` may import it.
"""
