// Uses the client that oapi-codegen made, as made.go beside this program: URL, a new player, a country.
package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/google/uuid"
)

const (
	page     = 2
	sessions = 5
)

var ctx = context.Background()

func main() {
	address, player, country := os.Args[1], os.Args[2], os.Args[3]
	client := must(NewClientWithResponses(address))

	ids, batch := make([]uuid.UUID, sessions), BatchRequest{}
	for at := range ids {
		ids[at] = uuid.New()
		started := time.Now().Add(-time.Duration(10+at) * time.Minute)
		ended := started.Add(time.Minute)
		batch = append(batch,
			EventRequest{Event: EventKindStart, PlayerId: player, SessionId: &ids[at], Ts: &started, Country: &country},
			EventRequest{Event: EventKindEnd, PlayerId: player, SessionId: &ids[at], Ts: &ended})
	}
	sent := must(client.RecordEventsWithResponse(ctx, nil, body(batch)))
	check(sent.JSON201 != nil && sent.JSON201.Stored == 10, "the batch", string(sent.Body))

	refused := must(client.RecordEventsWithResponse(ctx, nil, body(BatchRequest{{Event: EventKindStart, PlayerId: player}})))
	problem := refused.ApplicationproblemJSON400
	check(problem != nil && problem.Errors != nil && len(*problem.Errors) == 1, "a problem", string(refused.Body))
	wrong := (*problem.Errors)[0]
	check(wrong.Pointer == "/0/country" && wrong.Code == "required", "its error", wrong)

	found := walk(client, country)
	check(fmt.Sprint(found) == fmt.Sprint(ids), "every page", found, ids)

	hours := 1
	timeline := must(client.StartsTimelineWithResponse(ctx, &StartsTimelineParams{Hours: &hours, Country: &country})).JSON200
	sum := 0
	for _, point := range timeline.Points {
		sum += point.Starts
	}
	check(timeline.Total == sessions && sum == sessions, "the timeline", timeline)

	report := must(client.SessionsOfPlayerWithResponse(ctx, player, nil)).JSON200
	check(len(report.Results) == sessions, "the player", report)
	for _, session := range report.Results {
		check(session.DurationSeconds != nil && *session.DurationSeconds == 60, "a minute", session)
	}

	measured := must(client.MeasuresWithResponse(ctx, &MeasuresParams{Country: &country})).JSON200
	check(measured.Players != nil && *measured.Players == 1 && measured.Sample.Exact, "the measures", measured)
}

// walk returns every start, page by page: the cursor and the moment are those of the link to the next page.
func walk(client *ClientWithResponses, country string) []uuid.UUID {
	var found []uuid.UUID
	limit := page
	asked := StartsOfCountryParams{Limit: &limit}
	for {
		report := must(client.StartsOfCountryWithResponse(ctx, country, &asked)).JSON200
		for _, start := range report.Results {
			found = append(found, start.SessionId)
		}
		if report.Next == nil {
			return found
		}
		next := must(url.Parse(*report.Next)).Query()
		cursor, asOf := next.Get("cursor"), must(time.Parse(time.RFC3339, next.Get("as_of")))
		asked.Cursor, asked.AsOf = &cursor, &asOf
	}
}

// body returns a batch as the union of a batch and one event that the schema names.
func body(batch BatchRequest) EventOrBatchRequest {
	var either EventOrBatchRequest
	check(either.FromBatchRequest(batch) == nil, "the union")
	return either
}

func must[T any](value T, err error) T {
	check(err == nil, "no error", err)
	return value
}

func check(holds bool, what ...any) {
	if !holds {
		panic(fmt.Sprintln(what...))
	}
}
