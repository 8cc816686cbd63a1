"""The shape of events and of the replies to batches of them. The authority on what is valid, for HTTP and imports."""

import uuid
from collections.abc import Callable, Mapping
from typing import Any, cast

from django.conf import settings
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError

from events import domain
from events.clock import latest_moment_ms
from web.openapi import FieldErrorSerializer

# What the schema says, and messages.
PLAYER_ID_FORM = "Send 1 to 64 characters of A-Z a-z 0-9 _ . : @ -"
PLAYER_ID_SCHEMA = {"type": "string", "pattern": "^[A-Za-z0-9_.:@-]{1,64}$"}
COUNTRY_SCHEMA = {"type": "string", "pattern": "^[A-Za-z]{2}$"}


TIMESTAMP_FORMS = (
    "such as 2016-12-02T12:48:05.520Z or 2016-12-02T14:48:05+02:00; without an offset it is UTC. "
    "Hours go to 23, seconds to 59."
)


def timestamp_errors(wanted: str) -> dict[str, Any]:
    """Return the messages of a TimestampField: whatever is wrong, ``wanted`` says which forms are accepted."""
    return dict.fromkeys(("invalid", "blank", "invalid_timestamp"), wanted)


class StrictCharField(serializers.CharField):
    """Text as sent: not trimmed, and no other JSON type is turned into it."""

    default_error_messages = {"invalid": "Send a string."}

    def __init__(self, **options: Any) -> None:
        super().__init__(trim_whitespace=False, **options)

    def to_internal_value(self, value: Any) -> str:
        if not isinstance(value, str):
            self.fail("invalid")
        return value


@extend_schema_field({"type": "string", "enum": [domain.START, domain.END]})
class KindField(StrictCharField):
    """``start`` or ``end``."""

    def to_internal_value(self, value: Any) -> str:
        kind = super().to_internal_value(value)
        if kind not in (domain.START, domain.END):
            raise ValidationError("Send 'start' or 'end'.", code="invalid_choice")
        return kind


@extend_schema_field(PLAYER_ID_SCHEMA)
class PlayerIdField(StrictCharField):
    """1 to 64 characters of ``A-Z a-z 0-9 _ . : @ -``, given back exactly as sent."""

    def to_internal_value(self, value: Any) -> str:
        player_id = super().to_internal_value(value)
        if not domain.PLAYER_ID.match(player_id):
            raise ValidationError(PLAYER_ID_FORM, code="invalid_player_id")
        return player_id


@extend_schema_field(OpenApiTypes.UUID)
class SessionIdField(StrictCharField):
    """A UUID with or without dashes."""

    def to_internal_value(self, value: Any) -> uuid.UUID:  # type: ignore[override]  # a field's values may differ in type
        try:
            session_id = domain.parse_session_id(super().to_internal_value(value))
        except ValueError:
            raise ValidationError("Send a UUID, with or without dashes.", code="invalid_session_id") from None
        if session_id == domain.NIL_SESSION_ID:
            raise ValidationError(
                "This is the nil UUID, which many clients send when they have none: their sessions would become one. "
                "Send a UUID of this session's own.",
                code="nil_session_id",
            )
        return session_id


@extend_schema_field(OpenApiTypes.DATETIME)
class TimestampField(StrictCharField):
    """ISO 8601; without an offset it is UTC. Milliseconds since 1970 inside."""

    default_error_messages = timestamp_errors(f"Send an ISO 8601 date and time as a string, {TIMESTAMP_FORMS}")

    def to_internal_value(self, value: Any) -> int:  # type: ignore[override]  # a field's values may differ in type
        try:
            return domain.parse_timestamp(super().to_internal_value(value))
        except ValueError:
            self.fail("invalid_timestamp")


@extend_schema_field(COUNTRY_SCHEMA)
class CountryField(StrictCharField):
    """Two letters in any case, upper-case inside. The form is checked, not a list: XK, EU and ZZ are in use."""

    def to_internal_value(self, value: Any) -> str:
        country = super().to_internal_value(value)
        if not domain.COUNTRY.match(country):
            raise ValidationError("Send a country code of two letters.", code="invalid_country")
        return country.upper()


@extend_schema_serializer(component_name="Event")
class EventSerializer(serializers.Serializer[Any]):
    """One session event."""

    event = KindField(help_text="What happened.")
    player_id = PlayerIdField(help_text="1 to 64 characters of A-Z a-z 0-9 _ . : @ -, given back exactly as sent.")
    session_id = SessionIdField(
        required=False,
        allow_null=True,
        help_text="With or without dashes; not the nil UUID. Left out or null: the service makes one and returns it.",
    )
    ts = TimestampField(
        required=False,
        allow_null=True,
        help_text="ISO 8601; no offset means UTC; stored in milliseconds. Left out or null: the time of receipt. "
        "At most 5 minutes in the future; older than a year: discarded.",
    )
    country = CountryField(
        required=False,
        allow_null=True,
        help_text="Two letters in any case. Required on a start; checked and not stored on an end.",
    )

    def to_event(
        self,
        item: Any,
        *,
        now_ms: int,
        latest_ms: int | None = None,
        new_session_id: Callable[[], uuid.UUID] = uuid.uuid4,
    ) -> domain.Event | ValidationError:
        """Return the event that ``item`` is when received at ``now_ms``, or what is wrong with it.

        Its ``ts`` is at most ``latest_ms``; by default as far ahead of now as is tolerated.
        """
        if not isinstance(item, Mapping):
            return ValidationError({"non_field_errors": ["Send an object for each event."]}, code="not_an_object")
        fields: dict[str, Any] = {}
        wrong: dict[str, Any] = {}
        try:
            fields = self.to_internal_value(item)
        except ValidationError as error:
            wrong = dict(cast(dict[str, Any], error.detail))
        ts = item.get("ts")
        ts_ms = now_ms if ts is None or "ts" in wrong else domain.parse_timestamp(ts)
        if ts_ms > (latest_moment_ms(now_ms) if latest_ms is None else latest_ms):
            tolerated = settings.FUTURE_TOLERANCE_SECONDS
            late = f"This is more than {tolerated} s in the future. Is the sender's clock right?"
            wrong["ts"] = [ErrorDetail(late, code="in_the_future")]
        if item.get("event") == domain.START and item.get("country") is None:
            wrong["country"] = [ErrorDetail("A start needs a country.", code="required")]
        if wrong:
            return ValidationError(wrong)
        return domain.Event(
            kind=fields["event"],
            player_id=fields["player_id"],
            session_id=fields.get("session_id") or new_session_id(),
            ts_ms=ts_ms,
            country=fields.get("country"),
        )


class EventResultSerializer(serializers.Serializer[Any]):
    """The result of one event of the batch."""

    session_id = serializers.UUIDField(
        required=False,
        help_text="In lower case with dashes, however it was sent; made here when left out; absent when invalid.",
    )
    status = serializers.ChoiceField(
        choices=["stored", "discarded", "invalid"],
        help_text="discarded: older than the retention, or of a player who was erased.",
    )
    errors = FieldErrorSerializer(many=True, required=False)  # type: ignore[assignment]  # hides DRF's property on purpose


class ReceiptSerializer(serializers.Serializer[Any]):
    """The result of a batch; ``results`` are in the order of the events."""

    stored = serializers.IntegerField(help_text="Durable in Cassandra.")
    discarded = serializers.IntegerField(help_text="Older than the retention, or of a player who was erased.")
    invalid = serializers.IntegerField(required=False, help_text="Only with Prefer: handling=lenient.")
    results = EventResultSerializer(many=True)
