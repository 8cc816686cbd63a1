"""What every request meets on its way, whatever it asks: load shedding, request ids, errors, rendering, links.

Knows neither events nor reports. Imports ``store`` for its errors alone, and ``metrics`` to count; every room above may
import it.
"""
