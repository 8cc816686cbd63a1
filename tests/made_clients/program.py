"""Uses the client that openapi-python-client made, as ``made`` beside this program: URL, a new player, a country."""

import sys
import uuid
from datetime import UTC, datetime, timedelta

from made import AuthenticatedClient
from made.api.events import record_events
from made.api.reports import measures, sessions_of_player, starts_of_country, starts_timeline
from made.models import (
    CountryStartsReport,
    EventKind,
    EventRequest,
    MeasuresReport,
    PlayerReport,
    Problem,
    Receipt,
    TimelineReport,
)

PAGE = 2
SESSIONS = 5


def main(url: str, player: str, country: str) -> None:
    client = AuthenticatedClient(base_url=url, token="where the service asks for none, anything")
    now = datetime.now(UTC)
    sessions = [uuid.uuid4() for _ in range(SESSIONS)]
    started = [now - timedelta(minutes=10 + number) for number in range(SESSIONS)]
    starts = [
        EventRequest(EventKind.START, player, session_id=session, ts=ts, country=country)
        for session, ts in zip(sessions, started, strict=True)
    ]
    ends = [
        EventRequest(EventKind.END, player, session_id=session, ts=ts + timedelta(minutes=1))
        for session, ts in zip(sessions, started, strict=True)
    ]
    receipt = record_events.sync(client=client, body=[*starts, *ends])
    assert isinstance(receipt, Receipt)
    assert (receipt.stored, {result.status.value for result in receipt.results}) == (10, {"stored"})

    refused = record_events.sync(client=client, body=[EventRequest(EventKind.START, player)])
    assert isinstance(refused, Problem)
    assert isinstance(refused.errors, list)
    assert [(error.pointer, error.code) for error in refused.errors] == [("/0/country", "required")]

    assert walk(client, country) == sessions

    timeline = starts_timeline.sync(client=client, hours=1, country=country)
    assert isinstance(timeline, TimelineReport)
    assert (timeline.total, sum(point.starts for point in timeline.points)) == (SESSIONS, SESSIONS)

    report = sessions_of_player.sync(player, client=client)
    assert isinstance(report, PlayerReport)
    assert {session.session_id for session in report.results} == {*sessions}
    assert {session.duration_seconds for session in report.results} == {60.0}

    measured = measures.sync(client=client, country=country)
    assert isinstance(measured, MeasuresReport)
    assert (measured.players, measured.sample.exact) == (1, True)


def walk(client: AuthenticatedClient, country: str) -> list[uuid.UUID]:
    """Every start, page by page: the cursor and the moment are those of the link to the next page."""
    found: list[uuid.UUID] = []
    page = starts_of_country.sync(country, client=client, limit=PAGE)
    while True:
        assert isinstance(page, CountryStartsReport)
        found += [start.session_id for start in page.results]
        if page.next_ is None:
            return found
        reply = client.get_httpx_client().get(page.next_)
        page = CountryStartsReport.from_dict(reply.json())


if __name__ == "__main__":
    main(*sys.argv[1:])
