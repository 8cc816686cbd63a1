"""FastAPI as its users would write it: pydantic models, an async route, the driver's future bridged to asyncio."""

import asyncio
import time
import uuid
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from cassandra.cluster import ResponseFuture
from cassandra.query import BatchStatement
from fastapi import FastAPI
from pydantic import BaseModel, Field, model_validator

from benchmarks.apps.store import HOUR_MS, RETENTION_SECONDS, connect, prepare
from events import rows

app = FastAPI()
session = connect()
INSERT_START = prepare(session, rows.INSERT_START)
INSERT_STARTED = prepare(session, rows.INSERT_STARTED)
INSERT_ENDED = prepare(session, rows.INSERT_ENDED)
INSERT_COMPLETED = prepare(session, rows.INSERT_COMPLETED)


class SessionEvent(BaseModel):
    event: Literal["start", "end"]
    player_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:@-]{1,64}$")]
    session_id: uuid.UUID = Field(default_factory=uuid.uuid4)
    ts: datetime = Field(default_factory=lambda: datetime.now(UTC))
    country: Annotated[str, Field(pattern=r"^[A-Za-z]{2}$")] | None = None

    @model_validator(mode="after")
    def start_has_country(self) -> "SessionEvent":
        if self.event == "start" and self.country is None:
            raise ValueError("A start needs a country.")
        return self


class Result(BaseModel):
    session_id: uuid.UUID
    status: Literal["stored"]


class Receipt(BaseModel):
    stored: int
    results: list[Result]


@app.post("/events/", status_code=201)
async def record_events(events: Annotated[list[SessionEvent], Field(min_length=1, max_length=10)]) -> Receipt:
    batch = BatchStatement()
    for event in events:
        add_rows(batch, event)
    await answer(session.execute_async(batch))
    results = [Result(session_id=event.session_id, status="stored") for event in events]
    return Receipt(stored=len(results), results=results)


def add_rows(batch: BatchStatement, event: SessionEvent) -> None:
    ts = int(event.ts.timestamp() * 1000)
    when = (ts * 1000, (ts + RETENTION_SECONDS * 1000 - time.time_ns() // 1_000_000) // 1000)
    player, session_id = event.player_id, event.session_id
    if event.country is not None and event.event == "start":
        country = event.country.upper()
        batch.add(INSERT_STARTED, (player, session_id, ts, country, *when))
        batch.add(INSERT_START, (country, ts - ts % HOUR_MS, 0, ts, session_id, player, *when))
    else:
        batch.add(INSERT_ENDED, (player, session_id, ts, *when))
        batch.add(INSERT_COMPLETED, (player, ts, session_id, *when))


async def answer(sent: ResponseFuture) -> Any:
    """Wait for what the driver's own thread receives."""
    loop = asyncio.get_running_loop()
    waiting = loop.create_future()

    def finish(outcome: Any, how: str) -> None:
        if not waiting.cancelled():
            getattr(waiting, how)(outcome)

    sent.add_callbacks(
        lambda found: loop.call_soon_threadsafe(finish, found, "set_result"),
        lambda error: loop.call_soon_threadsafe(finish, error, "set_exception"),
    )
    return await waiting
