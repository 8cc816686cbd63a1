"""Stored data, long after it came: audited by ``manage.py audit_store``.

``tables`` says of every table how it is kept; ``row_checks`` what can be wrong with a row, and how that is fixed;
``pairs`` finds rows whose counterparts are missing, ``day_counts`` wrong counts, and ``quality`` describes the data.
``audit`` goes through all of it. May import ``events.counting`` and everything beneath it; ``management`` imports it.
"""
