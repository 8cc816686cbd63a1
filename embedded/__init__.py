"""A real Cassandra and a real Redis on this machine, from the package registries with Python alone.

For development, tests and small installations. A cluster that you already run is used instead
when ``CASSANDRA_HOSTS`` and ``REDIS_URL`` name it.
"""
