"""What every request passes, whatever it asks: load shedding, request ids, errors, rendering, links.

It does not depend on events or reports. Imports ``store`` for its errors alone, and ``metrics`` to count; every room
above may import it.
"""
