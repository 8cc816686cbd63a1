"""Where replies of reports are stored for their 50 s: Redis, the memory of a process, and one builder at a time.

What is cached, and for how long, is declared in ``reports/urls.py``. Imports ``web`` and ``store``; ``events`` and
``reports`` may import it.
"""
