"""Exact numbers of starts without counters: what is over is counted once and stored, what changed is counted again.

``validity`` knows whether a stored count is complete, ``stored`` reads and writes counts, ``minutes`` and ``hours``
take them, ``background`` brings them up to date before anybody asks. May import ``events`` below it (``services``,
``late_writes``, ``clock``, ``domain``) and the store's client; reports and the import use it.
"""
