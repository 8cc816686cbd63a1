"""The table of keys; ``manage.py sync_cassandra`` creates it."""

from cassandra.cqlengine import columns
from cassandra.cqlengine.models import Model


class ApiKey(Model):
    """Which keys are there, and what may each of them do?

    One partition: every process reads all of it every two seconds. A row is never deleted, and no column is set to
    null. Every write is made at a timestamp above all that the row has, so that a clock that is behind cannot lose it.
    """

    __table_name__ = "api_key"

    bucket = columns.Integer(partition_key=True)  # 0
    key_id = columns.Text(primary_key=True)  # 12 hexadecimal digits, which stand in the key as well
    digest = columns.Blob()  # SHA-256 of the whole key
    scopes = columns.Set(columns.Text)
    name = columns.Text()  # of whoever has the key
    created_at = columns.DateTime()
    expires_at = columns.DateTime()  # from when on it is refused; absent: never
    revoked_at = columns.DateTime()  # by an operator; once it is there the key is refused, whatever a clock shows
    events_per_second = columns.Integer()  # absent: EVENTS_PER_SECOND
