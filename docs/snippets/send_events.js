// Send session events safely: again until they are acknowledged, each stored once. Node 18 or later, nothing else.
const { randomUUID } = require("node:crypto");

const MOST_ATTEMPTS = 10;
const TIMEOUT_MS = 10_000;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Names the session and the moment once, when it happens: sent again, it is the same event.
const event = (kind, playerId, sessionId, more = {}) =>
  ({ event: kind, player_id: playerId, session_id: sessionId, ts: new Date().toISOString(), ...more });

// Sends 1 to 10 events and returns the result of each. Throws when they are invalid or nothing helps.
async function send(url, events) {
  const body = JSON.stringify(events);
  for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
    let waitMs = Math.min(2 ** attempt, 30) * 1000 * (0.5 + Math.random() / 2); // jitter: not all at once
    try {
      const reply = await fetch(`${url}/api/v1/events/`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body,
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      if (reply.ok) return (await reply.json()).results;
      if (reply.status < 500 && reply.status !== 429) {
        throw Object.assign(new Error(`Refused; do not send it again as it is: ${await reply.text()}`), { final: true });
      }
      waitMs = Number(reply.headers.get("Retry-After")) * 1000 || waitMs;
    } catch (error) {
      if (error.final) throw error;
      // The reply was lost: the events may be stored or not, and sending them again is safe.
    }
    await sleep(waitMs);
  }
  throw new Error("Not acknowledged. Keep the events, and send the same ones later.");
}

const session = randomUUID();
send(process.argv[2], [event("start", "ada", session, { country: "FI" }), event("end", "ada", session)])
  .then((results) => console.log(JSON.stringify(results)));
