"""What the service counts of itself, and where Prometheus reads it.

``catalogue`` names every metric, and any room may count one; ``cells`` holds the numbers of this process, ``sender``
tells them to the ``exporter`` once a second, a process of its own that answers ``/metrics`` for all workers. The lowest
room: imports no other.
"""
