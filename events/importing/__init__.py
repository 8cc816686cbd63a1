"""Dumps: read, validate, write, resume; and the generator of sample ones.

``coordinator`` deals lines to ``worker`` processes; in each, ``line_validator`` makes events of lines and ``loader``
writes them. May import everything below it in ``events`` but ``api``; only ``management`` imports it.
"""
