"""Stored data, long after it came: audited by ``audit_store``, and erased by ``erase_players`` and over HTTP.

``tables`` says of every table how it is kept; ``row_checks`` what can be wrong with a row, and how that is fixed;
``pairs`` finds rows whose counterparts are missing, ``day_counts`` wrong counts, and ``quality`` describes the data.
``audit`` goes through all of it, and ``erasing`` through what names players, both as ``walk`` reads it. May import
``events.counting`` and everything beneath it; ``management`` and ``api`` import it.
"""
