"""What can go wrong with the store: the only exceptions that leave it.

StoreError
├── StoreUnavailable    ask again: nothing is wrong with the statement
│   └── StoreTimeout    it may be slow or unavailable, which cannot be told apart
└── StatementRejected   do not ask again: the statement, the tables or the permissions are wrong
"""


class StoreError(Exception):
    """Cassandra did not do what it was asked to."""


class StoreUnavailable(StoreError):
    """Cassandra did not answer, or not in time. A write may or may not have happened; sending it again is safe."""


class StoreTimeout(StoreUnavailable):
    """Cassandra, or enough of its nodes, did not answer in time."""


class StatementRejected(StoreError):
    """Cassandra answered that it will never execute the statement as it stands."""
