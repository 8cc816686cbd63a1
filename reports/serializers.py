"""The questions of the reports, as query parameters, and the shapes of their answers."""

from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

from rest_framework import serializers

from events.domain import EARLIEST_MS, LATEST_MS, format_timestamp
from events.serializers import TIMESTAMP_FORMS, CountryField, PlayerIdField, TimestampField, timestamp_errors
from reports import intervals, measures, player_sessions

# A leap year.
MOST_HOURS = 8784
DEFAULT_HOURS = 24
# All pairs of letters.
MOST_COUNTRIES = 676
# Of the points of countries in one timeline: 600 kB.
MOST_NUMBERS = 200_000
HOURS_OF = {intervals.MINUTE: 1 / 60, intervals.HOUR: 1, intervals.DAY: 24, intervals.WEEK: 168}
# Questions whose values are remembered: of ordinary length 300 kB.
MOST_REMEMBERED = 500
DEFAULT_SESSIONS = 20
Shape = serializers.Serializer[Any]


class AsOfField(TimestampField):
    """A moment in an address."""

    default_error_messages = timestamp_errors(
        f"Send an ISO 8601 date and time, {TIMESTAMP_FORMS} In an address + is written as %2B."
    )

    def to_internal_value(self, value: Any) -> int:  # type: ignore[override]  # a field's values may differ in type
        return min(max(super().to_internal_value(value), EARLIEST_MS), LATEST_MS)

    def to_representation(self, value: int) -> str:  # type: ignore[override]
        return format_timestamp(value)


class WindowQuerySerializer(Shape):
    """The hours before a moment."""

    hours = serializers.IntegerField(
        min_value=1, max_value=MOST_HOURS, default=DEFAULT_HOURS, help_text="How many hours to look back."
    )
    as_of = AsOfField(
        required=False,
        help_text="The end of the window, ISO 8601; default now. The same as_of gives the same report, but for "
        "events that come late or expire.",
    )


class StartsQuerySerializer(WindowQuerySerializer):
    """Of every country."""

    sessions = serializers.IntegerField(
        min_value=0, max_value=100, default=10, help_text="How many of each country's newest sessions to list."
    )


class CountryStartsQuerySerializer(WindowQuerySerializer):
    """Of one country, paged."""

    limit = serializers.IntegerField(min_value=1, max_value=1000, default=100, help_text="Sessions of one page.")
    cursor = serializers.CharField(required=False, help_text="From `next` of the page before.")


class ZoneField(serializers.CharField):
    """An IANA time zone."""

    default_error_messages = {"unknown_zone": "Send the name of a time zone, such as Europe/Helsinki or UTC."}

    def to_internal_value(self, value: Any) -> str:
        name = super().to_internal_value(value)
        if name not in intervals.zone_names():
            self.fail("unknown_zone")
        return name


class TimelineQuerySerializer(WindowQuerySerializer):
    """Over time."""

    country = CountryField(required=False, help_text="Only this country.")
    interval = serializers.ChoiceField(
        choices=[intervals.MINUTE, intervals.HOUR, intervals.DAY, intervals.WEEK],
        default=intervals.HOUR,
        help_text="Of what there is a point. Weeks begin on Monday. Minutes only of up to "
        f"{intervals.MOST_HOURS_BY_MINUTE} hours.",
    )
    tz = ZoneField(default="UTC", help_text="Whose days and weeks they are: an IANA time zone.")
    compare = serializers.ChoiceField(
        choices=[intervals.PREVIOUS, intervals.WEEK],
        required=False,
        help_text="Tell of each point what was there `before`: in as many hours before the window, or a week earlier.",
    )
    countries = serializers.IntegerField(
        min_value=0,
        max_value=MOST_COUNTRIES,
        default=0,
        help_text="Tell the starts of each point also for so many countries, those with most starts.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Bound the number of points."""
        if attrs["interval"] == intervals.MINUTE and attrs["hours"] > intervals.MOST_HOURS_BY_MINUTE:
            most = f"Minutes are told of up to {intervals.MOST_HOURS_BY_MINUTE} hours. Ask for fewer, or for hours."
            raise serializers.ValidationError({"interval": [most]}, code="too_many_points")
        if attrs["hours"] / HOURS_OF[attrs["interval"]] * attrs["countries"] > MOST_NUMBERS:
            most = f"These are more than {MOST_NUMBERS:,} numbers. Ask for fewer countries, or a longer interval."
            raise serializers.ValidationError({"countries": [most]}, code="too_many_points")
        return attrs


class MeasuresQuerySerializer(WindowQuerySerializer):
    """Of all countries or one."""

    country = CountryField(required=False, help_text="Only this country.")


class PlayerQuerySerializer(Shape):
    """Of one player, paged."""

    state = serializers.ChoiceField(
        choices=[player_sessions.COMPLETED, player_sessions.OPEN, player_sessions.ALL],
        default=player_sessions.COMPLETED,
        help_text="`completed` has an end, newest end first. `open` has started and not ended since, newest start "
        "first. `all`: every session, newest start first; one whose start has not come stands where its end is.",
    )
    overlaps = serializers.BooleanField(
        default=False,
        help_text="Tell `overlaps` with `state=completed` too; the other states always do. All sessions of the player "
        "are read for it.",
    )
    limit = serializers.IntegerField(
        min_value=1, max_value=100, default=DEFAULT_SESSIONS, help_text="Sessions of one page."
    )
    cursor = serializers.CharField(required=False, help_text="From `next` of the page before.")


class PathSerializer(Shape):
    """What stands in an address."""

    country = CountryField(required=False)
    player_id = PlayerIdField(required=False)
    hours = serializers.IntegerField(required=False, min_value=1, max_value=MOST_HOURS)


def parameters_of(question: type[Shape]) -> frozenset[str]:
    """Return the names of the query parameters that a question has."""
    return frozenset(_serializer(question).fields)


def validated(question: type[Shape], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is asked, defaults included; raise ValidationError."""
    return dict(_validated(question, tuple(values.items())))


def spelled(question: type[Shape], values: Mapping[str, Any]) -> dict[str, str]:
    """Return the same as it is written in an address: equal questions are equal texts. Raise ValidationError."""
    fields = _serializer(question).fields
    return {name: str(fields[name].to_representation(value)) for name, value in validated(question, values).items()}


@lru_cache(maxsize=MOST_REMEMBERED)
def _validated(question: type[Shape], values: tuple[tuple[str, Any], ...]) -> Mapping[str, Any]:
    """Validate once what many ask, and what one request has validated twice: for its caches, and for its view."""
    # As a plain dict: in a QueryDict DRF takes an empty value, such as ?country=, for one that was left out.
    return _serializer(question).run_validation(dict(values))


@cache
def _serializer(question: type[Shape]) -> Shape:
    """Return one for all requests: DRF copies every field for each new serializer."""
    return question()


class LateStartsSerializer(Shape):
    """Starts that have come late, so many at a time that they are still being counted."""

    waiting = serializers.IntegerField(min_value=1, help_text="Minutes of countries that are to be counted again.")
    since = serializers.DateTimeField(help_text="When the first of these starts came.")


class WindowSerializer(Shape):
    """The window that was asked for: after ``from``, up to and including ``to``."""

    hours = serializers.IntegerField()
    late = LateStartsSerializer(
        allow_null=True, help_text="What the numbers are without for less than a minute; null: they are exact."
    )

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """``from`` is a word of Python, so it cannot be an attribute."""
        moments = {"from": serializers.DateTimeField(), "to": serializers.DateTimeField()}
        return {**super().get_fields(), **moments}


class StartSerializer(Shape):
    """A session that started."""

    session_id = serializers.UUIDField()
    player_id = serializers.CharField()
    ts = serializers.DateTimeField()


class StartsOfCountrySerializer(Shape):
    """One country of the report."""

    country = serializers.CharField()
    starts = serializers.IntegerField(help_text="Exact.")
    sessions = StartSerializer(many=True, help_text="The newest.")
    url = serializers.URLField(help_text="Every session of this country.")


class StartsReportSerializer(WindowSerializer):
    """Start sessions for each country, most first."""

    total = serializers.IntegerField()
    countries = StartsOfCountrySerializer(many=True)


class CountryStartsReportSerializer(WindowSerializer):
    """Start sessions of one country, newest first."""

    country = serializers.CharField()
    starts = serializers.IntegerField(help_text="Of the whole window, exact.")
    next = serializers.URLField(allow_null=True, help_text="The next page; null on the last.")
    results = StartSerializer(many=True)


class TimelinePointSerializer(Shape):
    """One part of the window."""

    begin = serializers.DateTimeField(help_text="Its beginning.")
    hour = serializers.DateTimeField(required=False, help_text="The same, when the points are hours.")
    starts = serializers.IntegerField(help_text="Those inside the window.")
    complete = serializers.BooleanField(help_text="The window has all of it.")
    before = serializers.IntegerField(required=False, help_text="With `compare`: the starts that it is compared with.")


class ComparisonSerializer(Shape):
    """The window that this one is compared with."""

    total = serializers.IntegerField()
    change = serializers.FloatField(
        allow_null=True, help_text="Of the total since then: 0.25 is a quarter more; null: there was nothing."
    )
    complete = serializers.BooleanField(help_text="Nothing of it is older than the retention.")

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """``from`` is a word of Python, so it cannot be an attribute."""
        moments = {"from": serializers.DateTimeField(), "to": serializers.DateTimeField()}
        return {**moments, **super().get_fields()}


class TimelineOfCountrySerializer(Shape):
    """One country of a timeline."""

    country = serializers.CharField()
    starts = serializers.ListField(child=serializers.IntegerField(), help_text="A number for each point.")


class TimelineReportSerializer(WindowSerializer):
    """Starts over time, oldest first, parts without starts included."""

    country = serializers.CharField(allow_null=True)
    interval = serializers.ChoiceField(choices=[intervals.MINUTE, intervals.HOUR, intervals.DAY, intervals.WEEK])
    tz = serializers.CharField(help_text="Whose days and weeks they are.")
    total = serializers.IntegerField()
    compare = ComparisonSerializer(allow_null=True, help_text="Null unless that was asked for.")
    points = TimelinePointSerializer(many=True)
    countries = TimelineOfCountrySerializer(many=True, help_text="As many as were asked for, most starts first.")


class EstimateSerializer(Shape):
    """A value that may be an estimate: for 19 of 20 of them the true one lies between ``low`` and ``high``."""

    value = serializers.FloatField()
    low = serializers.FloatField(help_text="The value itself where it is exact.")
    high = serializers.FloatField(help_text="The value itself where it is exact.")


class SampleSerializer(Shape):
    """What the estimates are of."""

    starts = serializers.IntegerField(help_text="Starts whose sessions were looked up.")
    exact = serializers.BooleanField(help_text="They are all, so nothing is estimated.")


class MeasuresReportSerializer(WindowSerializer):
    """What follows from the starts of a window and the ends of their sessions."""

    country = serializers.CharField(allow_null=True)
    starts = serializers.IntegerField(help_text="Exact.")
    players = serializers.IntegerField(
        allow_null=True,
        help_text=f"Different players, exact. Null when there are more than {measures.MOST_READ} starts, or so many "
        f"that they lie in more than {measures.MOST_PARTITIONS_READ} hours of countries.",
    )
    sample = SampleSerializer()
    open = EstimateSerializer(allow_null=True, help_text="Share of the sessions that have no end since their start.")
    playing = EstimateSerializer(
        allow_null=True,
        help_text="Sessions without an end that started in the last 24 hours before now. Of windows of more than 24 "
        "hours null, unless it is exact.",
    )
    length_mean = EstimateSerializer(allow_null=True, help_text="Of completed sessions, in seconds.")
    length_median = EstimateSerializer(allow_null=True, help_text="Half of the completed sessions are as short.")
    length_p90 = EstimateSerializer(allow_null=True, help_text="Nine of ten completed sessions are as short.")


class CompletedSessionSerializer(Shape):
    """A session that has ended."""

    session_id = serializers.UUIDField()
    country = serializers.CharField(allow_null=True, help_text="Null while its start has not come.")
    started_at = serializers.DateTimeField(allow_null=True, help_text="Null while its start has not come.")
    ended_at = serializers.DateTimeField()
    duration_seconds = serializers.FloatField(
        allow_null=True,
        help_text="From its latest start to its latest end; null while one of them has not come, or when the end is "
        "before the start.",
    )


class PlayerSessionSerializer(CompletedSessionSerializer):
    """A session of a player."""

    ended_at = serializers.DateTimeField(
        allow_null=True,
        help_text="Null while no end has come; before `started_at` when it was started again.",
    )
    ended_before_start = serializers.BooleanField(
        help_text="Its latest end is before its latest start: it was started again and is open, or a clock was wrong."
    )
    overlaps = serializers.BooleanField(
        allow_null=True,
        help_text="Whether it shares a moment with another session of the player, of whatever state. A session takes "
        "the moments from its start up to but not including its end; an open one, up to now; without a start, none. "
        "Null with `state=completed` without `overlaps=true`, and of a player with more than "
        f"{player_sessions.MOST_SESSIONS}.",
    )


class PlayerReportSerializer(Shape):
    """Sessions of a player in one state, newest first."""

    player_id = serializers.CharField()
    next = serializers.URLField(allow_null=True, help_text="The next page; null on the last.")
    results = PlayerSessionSerializer(many=True)


class LegacyStartSerializer(StartSerializer):
    """A start, in the shape of the legacy endpoint."""

    event = serializers.ChoiceField(choices=["start"])
    country = serializers.CharField()
