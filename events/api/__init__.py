"""Events over HTTP: views, body parsers, the fast path for well-formed batches, and what the schema says of them.

May import everything beneath it in ``events`` but ``importing``; only ``sessions_project`` imports it.
"""
