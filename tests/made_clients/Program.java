import java.net.URI;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.openapitools.client.ApiClient;
import org.openapitools.client.ApiException;
import org.openapitools.client.api.EventsApi;
import org.openapitools.client.api.ReportsApi;
import org.openapitools.client.model.EventKind;
import org.openapitools.client.model.EventRequest;
import org.openapitools.client.model.Problem;
import org.openapitools.client.model.Start;
import org.openapitools.client.model.TimelinePoint;

/** Uses the client that openapi-generator made, which is on the class path: URL, a new player, a country. */
public class Program {
    private static final int PAGE = 2;
    private static final int SESSIONS = 5;

    public static void main(String[] words) throws Exception {
        String player = words[1];
        String country = words[2];
        ApiClient client = new ApiClient();
        client.updateBaseUri(words[0]);
        EventsApi events = new EventsApi(client);
        ReportsApi reports = new ReportsApi(client);

        List<UUID> sessions = new ArrayList<>();
        List<EventRequest> batch = new ArrayList<>();
        for (int at = 0; at < SESSIONS; at++) {
            UUID session = UUID.randomUUID();
            OffsetDateTime started = OffsetDateTime.now().minusMinutes(10 + at);
            sessions.add(session);
            batch.add(event(EventKind.START, player).sessionId(session).ts(started).country(country));
            batch.add(event(EventKind.END, player).sessionId(session).ts(started.plusMinutes(1)));
        }
        check(events.recordEvents(batch, null, null).getStored() == 10, "the batch");

        try {
            events.recordEvents(List.of(event(EventKind.START, player)), null, null);
            throw new AssertionError("a start without a country");
        } catch (ApiException error) {
            Problem problem = client.getObjectMapper().readValue(error.getResponseBody(), Problem.class);
            check(error.getCode() == 400 && problem.getErrors().size() == 1, error.getResponseBody());
            check(problem.getErrors().get(0).getPointer().equals("/0/country"), error.getResponseBody());
            check(problem.getErrors().get(0).getCode().equals("required"), error.getResponseBody());
        }

        check(walk(reports, country).equals(sessions), "every page");

        var timeline = reports.startsTimeline(null, null, null, null, country, null, 1, null, null);
        int sum = timeline.getPoints().stream().mapToInt(TimelinePoint::getStarts).sum();
        check(timeline.getTotal() == SESSIONS && sum == SESSIONS, timeline);

        var report = reports.sessionsOfPlayer(player, null, null, null, null, null);
        check(report.getResults().size() == SESSIONS, report);
        check(report.getResults().stream().allMatch(session -> session.getDurationSeconds() == 60.0), report);

        var measured = reports.measures(null, null, country, null, null);
        check(measured.getPlayers() == 1 && measured.getSample().getExact(), measured);
    }

    private static EventRequest event(EventKind kind, String player) {
        return new EventRequest().event(kind).playerId(player);
    }

    /** Every start, page by page: the cursor and the moment are those of the link to the next page. */
    private static List<UUID> walk(ReportsApi reports, String country) throws ApiException {
        List<UUID> found = new ArrayList<>();
        var page = reports.startsOfCountry(country, null, null, null, null, null, PAGE);
        while (true) {
            page.getResults().stream().map(Start::getSessionId).forEach(found::add);
            if (page.getNext() == null) {
                return found;
            }
            Map<String, String> next = query(page.getNext());
            OffsetDateTime moment = OffsetDateTime.parse(next.get("as_of"));
            page = reports.startsOfCountry(country, null, moment, next.get("cursor"), null, null, PAGE);
        }
    }

    private static Map<String, String> query(URI link) {
        Map<String, String> found = new HashMap<>();
        for (String pair : link.getRawQuery().split("&")) {
            String[] parts = pair.split("=", 2);
            found.put(parts[0], URLDecoder.decode(parts[1], StandardCharsets.UTF_8));
        }
        return found;
    }

    private static void check(boolean holds, Object what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }
}
