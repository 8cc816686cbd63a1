/** Uses the types that openapi-typescript made, as `made.d.ts` beside this program: URL, a new player, a country. */

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import createClient from "openapi-fetch";
import type { components, paths } from "./made.js";

type Event = components["schemas"]["EventRequest"];

const [url, player, country] = process.argv.slice(2) as [string, string, string];
// The second type says which form is asked for: without it a report would be `Report | string`, as it comes as CSV too.
type Forms = "application/json" | "application/problem+json";
const client = createClient<paths, Forms>({ baseUrl: url, headers: { Accept: "application/json" } });

const sessions = Array.from({ length: 5 }, () => randomUUID());
const minutesAgo = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString();
const events: Event[] = sessions.flatMap((session_id, at): Event[] => [
  { event: "start", player_id: player, session_id, country, ts: minutesAgo(10 + at) },
  { event: "end", player_id: player, session_id, ts: minutesAgo(9 + at) },
]);

const sent = await client.POST("/api/v1/events/", { body: events });
assert(sent.data);
assert.equal(sent.data.stored, 10);

// What no JSON schema of the types tells: a start needs a country.
const refused = await client.POST("/api/v1/events/", { body: [{ event: "start", player_id: player } as Event] });
assert(refused.error);
assert.deepEqual(
  refused.error.errors?.map(({ pointer, code }) => [pointer, code]),
  [["/0/country", "required"]],
);

const found: string[] = [];
let query: { limit: number; cursor?: string; as_of?: string } | null = { limit: 2 };
while (query) {
  const page: { data?: components["schemas"]["CountryStartsReport"] } = await client.GET(
    "/api/v1/reports/starts/{country}/",
    { params: { path: { country }, query } },
  );
  assert(page.data);
  found.push(...page.data.results.map((start) => start.session_id));
  const next: URLSearchParams | null = page.data.next ? new URL(page.data.next).searchParams : null;
  query = next && { limit: 2, cursor: next.get("cursor")!, as_of: next.get("as_of")! };
}
assert.deepEqual(found, sessions);

const timeline = await client.GET("/api/v1/reports/starts/timeline/", { params: { query: { hours: 1, country } } });
assert(timeline.data);
assert.equal(timeline.data.total, 5);
assert.equal(timeline.data.points.reduce((sum, point) => sum + point.starts, 0), 5);

const ofPlayer = await client.GET("/api/v1/reports/players/{player_id}/sessions/", {
  params: { path: { player_id: player } },
});
assert(ofPlayer.data);
assert.deepEqual(new Set(ofPlayer.data.results.map((session) => session.session_id)), new Set(sessions));

const measured = await client.GET("/api/v1/reports/measures/", { params: { query: { country } } });
assert(measured.data);
assert.equal(measured.data.players, 1);
