"""The write side: what an event is, how it is stored, imported, counted, audited and erased.

``domain`` has the rules, without framework, driver or clock; ``models`` the tables; ``rows`` and ``services`` the write
path of both entry points, ``api`` (HTTP) and ``importing`` (dumps). ``counting`` has the numbers of starts that reports
read, ``upkeep`` the audit and the erasure of players. May import ``access`` and every room below it; ``reports`` may
import it, and it imports nothing of theirs.
"""
