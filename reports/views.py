"""The reports over HTTP: read the question, ask the selector, shape the answer."""

from collections.abc import Mapping
from itertools import chain
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.cache import patch_cache_control
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet

from events.clock import wall_clock_ms
from events.counting.hours import Waiting
from events.domain import CLOCKS_APART_MS, EARLIEST_MS, HOUR_MS, Window, format_timestamp
from events.serializers import COUNTRY_SCHEMA, PLAYER_ID_FORM, PLAYER_ID_SCHEMA
from reports import measures, player_sessions, starts
from reports.cursors import decode_cursor, encode_cursor
from reports.estimates import Estimate
from reports.intervals import HOUR
from reports.player_sessions import Session
from reports.positions import Position
from reports.serializers import (
    DEFAULT_SESSIONS,
    MOST_HOURS,
    CompletedSessionSerializer,
    CountryStartsQuerySerializer,
    CountryStartsReportSerializer,
    LegacyStartSerializer,
    MeasuresQuerySerializer,
    MeasuresReportSerializer,
    PathSerializer,
    PlayerQuerySerializer,
    PlayerReportSerializer,
    Shape,
    StartsQuerySerializer,
    StartsReportSerializer,
    TimelineQuerySerializer,
    TimelineReportSerializer,
    WindowQuerySerializer,
    parameters_of,
    validated,
)
from reports.spreadsheets import CsvRenderer, Download, attachment, csv_or
from reports.starts import Start
from reports.timelines import Timeline
from web.links import link
from web.openapi import COMMON_HEADERS, problems
from web.query import refuse_other_parameters
from web.rendering import FastJSONRenderer, Report

# For so long at most a report is cached that is without some late starts: a page that is asked for all day shows them.
INCOMPLETE_SECONDS = 5
STARTS, PLAYERS = "starts", "players"
# Stands for a country in an address; it is not in the query behind it.
ANY_COUNTRY = "ZZ"
# The legacy endpoint answers with a bare array, which has no room for a link: the Link header has it.
LEGACY_LIMIT = 1000
_renderer = FastJSONRenderer()
# Of a share as fine as the sample tells it, of a length as fine as it is stored.
DECIMALS = 3
TOO_MANY_SESSIONS = f"This player has more than {player_sessions.MOST_SESSIONS} sessions. Ask for state=completed."

# The examples find what the example of a batch has stored.
COUNTRY = OpenApiParameter(
    "country",
    COUNTRY_SCHEMA,
    OpenApiParameter.PATH,
    description="Two letters.",
    examples=[OpenApiExample("a country", value="US")],
)
PLAYER = OpenApiParameter(
    "player_id",
    PLAYER_ID_SCHEMA,
    OpenApiParameter.PATH,
    description="1 to 64 characters of A-Z a-z 0-9 _ . : @ -",
    examples=[OpenApiExample("a player", value="player_2")],
)
LINK = OpenApiParameter(
    "Link", location=OpenApiParameter.HEADER, response=[200], description='rel="next": the rest, paged (RFC 8288).'
)
CACHE_CONTROL = OpenApiParameter(
    "Cache-Control", location=OpenApiParameter.HEADER, response=[200], description="The report is up to 50 s old."
)
CONTENT_DISPOSITION = OpenApiParameter(
    "Content-Disposition",
    location=OpenApiParameter.HEADER,
    response=[200],
    description="As CSV: an attachment with a file name.",
)
ETAG = OpenApiParameter(
    "ETag", location=OpenApiParameter.HEADER, response=[200, 304], description="Of this report; send it to ask again."
)
IF_NONE_MATCH = OpenApiParameter(
    "If-None-Match", location=OpenApiParameter.HEADER, description="The ETag of a report that you have (RFC 9110)."
)
HEADERS = [CACHE_CONTROL, ETAG, IF_NONE_MATCH, *COMMON_HEADERS]
STARTS_HEADERS = [CONTENT_DISPOSITION, *HEADERS]
# What DRF says that an address of a report allows.
READS = "GET, HEAD, OPTIONS"
RENDERERS_OF_STARTS = [*APIView.renderer_classes, CsvRenderer]


def _otherwise(**wrong: Any) -> dict[Any, OpenApiResponse]:
    """Return the replies beside a report, as drf-spectacular's ``responses`` wants them."""
    return {304: OpenApiResponse(description="You have this report."), **problems(400, 406, 503, **wrong)}


NO_HOURS = ValidationError(
    {"hours": [ErrorDetail("Ensure this value is greater than or equal to 1.", code="min_value")]}
)
NO_STATE = ValidationError({"state": [ErrorDetail('"closed" is not a valid choice.', code="invalid_choice")]})
NO_PLAYER = ValidationError({"player_id": [ErrorDetail(PLAYER_ID_FORM, code="invalid_player_id")]})
OTHERWISE_OF_STARTS = _otherwise(invalid=NO_HOURS, renderers=RENDERERS_OF_STARTS)


class LateStarts:
    """What a report is without because it is still being counted; such a report is not cached for long."""

    def __init__(self) -> None:
        self._waiting: Waiting | None = None

    def note(self, waiting: Waiting) -> None:
        """Take what the selector says; of two windows, both."""
        if self._waiting:
            cells, since_ms = waiting.cells + self._waiting.cells, min(waiting.since_ms, self._waiting.since_ms)
            waiting = Waiting(cells, since_ms)
        self._waiting = waiting

    def field(self) -> dict[str, Any]:
        """Return the field of the report that says so."""
        if self._waiting is None:
            return {"late": None}
        return {"late": {"waiting": self._waiting.cells, "since": format_timestamp(self._waiting.since_ms)}}

    def reply(self, data: Any) -> Report:
        """Return the reply."""
        reply = Report(data)
        if self._waiting:
            patch_cache_control(reply, max_age=min(INCOMPLETE_SECONDS, settings.REPORT_CACHE_SECONDS))
        return reply


class StartsViewSet(ViewSet):
    """Sessions started in the last hours, for each country. Reports are up to 50 s old."""

    renderer_classes = RENDERERS_OF_STARTS

    @extend_schema(
        operation_id="starts_by_country",
        summary="Start sessions of the last hours, for each country",
        tags=["reports"],
        parameters=[StartsQuerySerializer, *STARTS_HEADERS],
        responses={
            **csv_or(StartsReportSerializer, header="country,starts"),
            **OTHERWISE_OF_STARTS,
        },
    )
    def by_country(self, request: Request) -> Report:
        asked, window, now_ms = _asked(StartsQuerySerializer, request)
        newest = 0 if _wants_csv(request) else asked["sessions"]
        late = LateStarts()
        on_waiting = None if _wants_csv(request) else late.note  # a file has no place to say so
        report = starts.starts_by_country(window=window, now_ms=now_ms, newest=newest, on_waiting=on_waiting)
        if _wants_csv(request):
            table = [("country", "starts"), *((one.country, one.starts) for one in report)]
            return Report(table, headers=attachment(_file_name("starts", asked)))
        # Made once: to reverse one for each of forty countries took a seventh of the report.
        before, _, behind = _country_url(request, ANY_COUNTRY, asked).rpartition(ANY_COUNTRY)
        countries = [
            {
                "country": one.country,
                "starts": one.starts,
                "sessions": [_start(start) for start in one.newest],
                "url": f"{before}{one.country}{behind}",
            }
            for one in report
        ]
        total = sum(one.starts for one in report)
        return late.reply({**_window(asked), **late.field(), "total": total, "countries": countries})

    @extend_schema(
        operation_id="starts_of_country",
        summary="Start sessions of one country, every one, paged",
        description="As CSV the whole window comes in one file; `limit` and `cursor` do not matter then. A few files "
        "are sent at a time; beyond that the reply is 503.",
        tags=["reports"],
        parameters=[COUNTRY, CountryStartsQuerySerializer, *STARTS_HEADERS],
        responses={
            **csv_or(CountryStartsReportSerializer, header="session_id,player_id,ts"),
            **OTHERWISE_OF_STARTS,
        },
    )
    def retrieve(self, request: Request, country: str) -> Report | Download:
        country = validated(PathSerializer, {"country": country})["country"]
        asked, window, now_ms = _asked(CountryStartsQuerySerializer, request)
        if _wants_csv(request):
            rows = starts.every_start_of_country(country=country, window=window, now_ms=now_ms)
            table = chain([("session_id", "player_id", "ts")], (tuple(_start(start).values()) for start in rows))
            return Download(table, name=_file_name(f"starts-{country}", asked))
        late = LateStarts()
        number, page, end = starts.starts_of_country(
            country=country,
            window=window,
            now_ms=now_ms,
            limit=asked["limit"],
            after=decode_cursor(asked["cursor"], report=STARTS) if "cursor" in asked else None,
            on_waiting=late.note,
        )
        body = {
            "country": country,
            **_window(asked),
            **late.field(),
            "starts": number,
            "next": end and _country_url(request, country, asked, **_behind(end, limit=asked["limit"], report=STARTS)),
            "results": [_start(start) for start in page],
        }
        return late.reply(body)

    @extend_schema(
        operation_id="starts_timeline",
        summary="Starts by the minute, hour, day or week",
        tags=["reports"],
        parameters=[TimelineQuerySerializer, *STARTS_HEADERS],
        responses={
            **csv_or(TimelineReportSerializer, header="hour,starts"),
            **OTHERWISE_OF_STARTS,
        },
    )
    def timeline(self, request: Request) -> Report:
        asked, window, now_ms = _asked(TimelineQuerySerializer, request)
        late = LateStarts()
        on_waiting = None if _wants_csv(request) else late.note
        timeline = Timeline(asked, window, from_ms=_from_ms(asked), now_ms=now_ms, on_waiting=on_waiting)
        if _wants_csv(request):
            name = f"timeline-{asked.get('country') or 'all'}"
            name += f"-{asked['interval']}s" if asked["interval"] != HOUR else ""
            return Report(timeline.table(), headers=attachment(_file_name(name, asked)))
        body = {
            "country": asked.get("country"),
            **_window(asked),
            **late.field(),
            "interval": asked["interval"],
            "tz": asked["tz"],
            "total": sum(timeline.starts),
            "compare": timeline.comparison(),
            "points": list(timeline.points()),
            "countries": timeline.countries(),
        }
        return late.reply(body)


class MeasuresViewSet(ViewSet):
    """Players, lengths of sessions, and who is still playing. Reports are up to 50 s old."""

    renderer_classes = RENDERERS_OF_STARTS

    @extend_schema(
        operation_id="measures",
        summary="Players, lengths of sessions, and who is still playing",
        description="Of the sessions that started in the window. Where there are many, all but `starts` follows from "
        "a random sample of them; each estimate has its bounds. The same window has the same sample.",
        tags=["reports"],
        parameters=[MeasuresQuerySerializer, *STARTS_HEADERS],
        responses={
            **csv_or(MeasuresReportSerializer, header="measure,value,low,high"),
            **OTHERWISE_OF_STARTS,
        },
    )
    def measures(self, request: Request) -> Report:
        asked, window, now_ms = _asked(MeasuresQuerySerializer, request)
        late = LateStarts()
        on_waiting = None if _wants_csv(request) else late.note
        country = asked.get("country")
        found = measures.measures(window=window, now_ms=now_ms, country=country, on_waiting=on_waiting)
        estimates = {
            "open": found.open,
            "playing": found.playing,
            "length_mean": found.mean,
            "length_median": found.median,
            "length_p90": found.p90,
        }
        if _wants_csv(request):
            table = _table_of({"starts": found.starts, "players": found.players}, estimates)
            return Report(table, headers=attachment(_file_name(f"measures-{country or 'all'}", asked)))
        body = {
            "country": country,
            **_window(asked),
            **late.field(),
            "starts": found.starts,
            "players": found.players,
            "sample": {"starts": found.sampled, "exact": found.is_exact},
            **{name: estimate and _rounded(estimate)._asdict() for name, estimate in estimates.items()},
        }
        return late.reply(body)


class PlayerSessionsViewSet(ViewSet):
    """Sessions of a player, newest first. Reports are up to 50 s old."""

    @extend_schema(
        operation_id="sessions_of_player",
        summary="The last sessions of a player: completed, open or all",
        description="A session is completed when it has an end, and open when it has started and not ended since: one "
        "whose latest start is after its latest end is both. An unknown player has an empty list. Of a player with "
        f"more than {player_sessions.MOST_SESSIONS} sessions only `state=completed` can be listed.",
        tags=["reports"],
        parameters=[PLAYER, PlayerQuerySerializer, *HEADERS],
        responses={200: PlayerReportSerializer, **_otherwise(invalid=NO_STATE)},
    )
    def sessions(self, request: Request, player_id: str) -> Report:
        player_id = validated(PathSerializer, {"player_id": player_id})["player_id"]
        return player_report(request, player_id=player_id, asked=_query(PlayerQuerySerializer, request))


def player_report(request: Request, *, player_id: str, asked: Mapping[str, Any]) -> Report:
    """Return the reply to a question of ``PlayerQuerySerializer``."""
    report = f"{PLAYERS}.{asked['state']}"
    try:
        page, end = player_sessions.player_sessions(
            player_id=player_id,
            state=asked["state"],
            overlaps=asked["overlaps"],
            now_ms=wall_clock_ms(),
            limit=asked["limit"],
            after=decode_cursor(asked["cursor"], report=report) if "cursor" in asked else None,
        )
    except player_sessions.TooManySessions:
        raise ValidationError({"state": [TOO_MANY_SESSIONS]}, code="too_many_sessions") from None
    body = {
        "player_id": player_id,
        "next": end and _player_url(request, player_id, asked, **_behind(end, limit=asked["limit"], report=report)),
        "results": [_session_in_full(session) for session in page],
    }
    return Report(body)


def last_sessions_of_player(request: HttpRequest, player_id: str) -> Report:
    """Answer, without the view around it, what the address of the player's sessions says without parameters."""
    report = player_report(Request(request), player_id=player_id, asked=validated(PlayerQuerySerializer, {}))
    report.headers["Allow"] = READS
    report.accepted_renderer, report.accepted_media_type = _renderer, _renderer.media_type
    report.renderer_context = {}  # type: ignore[attr-defined]  # DRF's stubs do not know it
    return report


class LegacyReportsViewSet(ViewSet):
    """The two reports at their legacy endpoints: bare arrays."""

    @extend_schema(
        operation_id="by_country",
        summary="Start sessions of one country (legacy endpoint)",
        description='The newest 1000; a `Link: rel="next"` header leads to the rest.',
        tags=["legacy endpoints"],
        parameters=[
            COUNTRY,
            OpenApiParameter(
                "hours",
                {"type": "integer", "minimum": 1, "maximum": MOST_HOURS},
                OpenApiParameter.PATH,
                description=f"1 to {MOST_HOURS}.",
                examples=[OpenApiExample("a day", value=24)],
            ),
            LINK,
            *HEADERS,
        ],
        responses={200: LegacyStartSerializer(many=True), **_otherwise(invalid=NO_HOURS)},
    )
    def by_country(self, request: Request, country: str, hours: str) -> Report:
        country = validated(PathSerializer, {"country": country})["country"]
        now_ms = wall_clock_ms()
        asked = _up_to(validated(WindowQuerySerializer, {"hours": hours}), now_ms=now_ms)
        window = _window_of(asked, now_ms=now_ms)
        _, page, end = starts.starts_of_country(country=country, window=window, now_ms=now_ms, limit=LEGACY_LIMIT)
        next_url = end and _country_url(request, country, asked, **_behind(end, limit=LEGACY_LIMIT, report=STARTS))
        bare = [{"event": "start", "country": country, **_start(start)} for start in page]
        return Report(bare, headers={"Link": f'<{next_url}>; rel="next"'} if next_url else None)

    @extend_schema(
        operation_id="by_player",
        summary="The last 20 completed sessions of a player (legacy endpoint)",
        tags=["legacy endpoints"],
        parameters=[PLAYER, *HEADERS],
        responses={200: CompletedSessionSerializer(many=True), **_otherwise(invalid=NO_PLAYER)},
    )
    def by_player(self, request: Request, player_id: str) -> Report:
        player_id = validated(PathSerializer, {"player_id": player_id})["player_id"]
        page, _ = player_sessions.completed_sessions(
            player_id=player_id, now_ms=wall_clock_ms(), limit=DEFAULT_SESSIONS
        )
        return Report([_session(session) for session in page])


def _asked(serializer: type[Shape], request: Request) -> tuple[dict[str, Any], Window, int]:
    """Return what is asked for, its window, and now."""
    now_ms = wall_clock_ms()
    asked = _up_to(_query(serializer, request), now_ms=now_ms)
    return asked, _window_of(asked, now_ms=now_ms), now_ms


def _up_to(asked: dict[str, Any], *, now_ms: int) -> dict[str, Any]:
    """Return what is asked, up to now unless it says another moment."""
    # Links name the moment of the process that made them: its clock may be ahead.
    if asked.setdefault("as_of", now_ms) > now_ms + CLOCKS_APART_MS:
        raise ValidationError({"as_of": ["This is in the future. Leave as_of out for now."]}, code="in_the_future")
    return asked


def _window_of(asked: Mapping[str, Any], *, now_ms: int) -> Window:
    return starts.report_window(hours=asked["hours"], as_of_ms=asked["as_of"], now_ms=now_ms)


def _query(serializer: type[Shape], request: Request) -> dict[str, Any]:
    refuse_other_parameters(request.query_params, known=parameters_of(serializer))
    return validated(serializer, request.query_params)


def _wants_csv(request: Request) -> bool:
    return request.accepted_renderer.format == CsvRenderer.format


def _file_name(report: str, asked: Mapping[str, Any]) -> str:
    """Return a name such as ``starts-FI-24h-to-2026-11-24T051020Z.csv``: no system minds its characters."""
    to = format_timestamp(asked["as_of"]).partition(".")[0].replace(":", "")
    return f"{report}-{asked['hours']}h-to-{to}Z.csv"


def _window(asked: Mapping[str, Any]) -> dict[str, Any]:
    return {"hours": asked["hours"], "from": format_timestamp(_from_ms(asked)), "to": format_timestamp(asked["as_of"])}


def _from_ms(asked: Mapping[str, Any]) -> int:
    return int(max(asked["as_of"] - asked["hours"] * HOUR_MS, EARLIEST_MS))


def _table_of(
    counts: Mapping[str, int | None], estimates: Mapping[str, Estimate | None]
) -> list[tuple[str | int | float, ...]]:
    """Return the measures as rows, with a header; what is not known has no row."""
    exact = [(name, count, count, count) for name, count in counts.items() if count is not None]
    return [
        ("measure", "value", "low", "high"),
        *exact,
        *((name, *_rounded(estimate)) for name, estimate in estimates.items() if estimate),
    ]


def _rounded(estimate: Estimate) -> Estimate:
    return Estimate(*(round(number, DECIMALS) for number in estimate))


def _start(start: Start) -> dict[str, Any]:
    return {
        "session_id": start.session_id,
        "player_id": start.player_id,
        "ts": format_timestamp(start.ts_ms),
    }


def _session(session: Session) -> dict[str, Any]:
    started, ended, duration = session.started_ms, session.ended_ms, session.duration_ms
    return {
        "session_id": session.session_id,
        "country": session.country,
        "started_at": None if started is None else format_timestamp(started),
        "ended_at": None if ended is None else format_timestamp(ended),
        "duration_seconds": None if duration is None else duration / 1000,
    }


def _session_in_full(session: Session) -> dict[str, Any]:
    return {**_session(session), "ended_before_start": session.ended_before_start, "overlaps": session.overlaps}


def _country_url(request: Request, country: str, asked: Mapping[str, Any], **more: Any) -> str:
    """Return the country's own report over the same window."""
    query = {"hours": asked["hours"], "as_of": format_timestamp(asked["as_of"]), **more}
    return link(request, "starts-of-country", in_path={"country": country}, query=query)


def _player_url(request: Request, player_id: str, asked: Mapping[str, Any], **more: Any) -> str:
    """Return the report of the same sessions of the player."""
    overlaps = {"overlaps": "true"} if asked["overlaps"] else {}
    query = {"state": asked["state"], **overlaps, **more}
    return link(request, "player-sessions", in_path={"player_id": player_id}, query=query)


def _behind(end: Position, *, limit: int, report: str) -> dict[str, Any]:
    """Return what asks for the page behind ``end``."""
    return {"limit": limit, "cursor": encode_cursor(end, report=report)}
