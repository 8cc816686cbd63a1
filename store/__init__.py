"""Cassandra: the client that everybody uses, and its parts. The only room that imports the driver.

``cassandra`` is the client: connect, execute, write. Beneath it are ``row_packing`` (rows as bytes), ``load_balancing``
(which node is asked), ``circuit_breaker`` (leave a server alone that does not answer), and ``group_commit``. Imports
no other room but ``metrics``, to count; every room above may import it. Driver exceptions end here, as ``StoreError``.
"""
