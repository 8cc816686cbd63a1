"""The write side: what an event is, how it is stored, imported and counted.

``domain`` has the rules, without framework, driver or clock; ``models`` the tables; ``rows`` and ``services`` the write
path of both entry points, ``api`` (HTTP) and ``importing`` (dumps). ``counting`` keeps the numbers of starts that
reports read. Imports ``caching``, ``web`` and ``store``; ``reports`` may import it, and it knows nothing of them.
"""
