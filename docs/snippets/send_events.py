"""Send session events safely: again until they are acknowledged, each stored once. Standard library only."""

import json
import random
import sys
import time
import urllib.error
import urllib.request
import uuid
from datetime import UTC, datetime
from http.client import HTTPException

MOST_ATTEMPTS = 10
TIMEOUT_SECONDS = 10.0


def event(kind, player_id, session_id, **more):
    """Name the session and the moment once, when it happens: sent again, it is the same event."""
    return {
        "event": kind,
        "player_id": player_id,
        "session_id": session_id,
        "ts": datetime.now(UTC).isoformat(),
        **more,
    }


def send(url, events):
    """Send 1 to 10 events and return the result of each. Raises when they are invalid or nothing helps."""
    request = urllib.request.Request(f"{url}/api/v1/events/", json.dumps(events).encode())
    request.add_header("Content-Type", "application/json")
    for attempt in range(MOST_ATTEMPTS):
        wait_seconds = min(2**attempt, 30) * random.uniform(0.5, 1)  # jitter: not all clients at once
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as reply:
                return json.load(reply)["results"]
        except urllib.error.HTTPError as error:
            if error.code < 500 and error.code != 429:
                raise RuntimeError(f"Refused; do not send it again as it is: {error.read().decode()}") from error
            if (retry_after := error.headers.get("Retry-After", "")).isdecimal():
                wait_seconds = int(retry_after)
        except (OSError, HTTPException, ValueError):
            pass  # the reply was lost: the events may be stored or not, and sending them again is safe
        time.sleep(wait_seconds)
    raise RuntimeError("Not acknowledged. Keep the events, and send the same ones later.")


if __name__ == "__main__":
    session = str(uuid.uuid4())
    batch = [event("start", "ada", session, country="FI"), event("end", "ada", session)]
    print(json.dumps(send(sys.argv[1], batch)))
