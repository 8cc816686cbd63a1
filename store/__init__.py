"""Cassandra: the client that all rooms use, and its parts. The only room that uses the driver's session.

``cassandra`` is the client: connect, execute, write. Its parts are ``row_packing`` (rows as bytes), ``load_balancing``
(which node is asked), ``circuit_breaker`` (stop asking a server that does not answer), and ``group_commit``. It imports
only ``metrics``, to count; every room above may import it. Driver exceptions end here, as ``StoreError``.
"""
