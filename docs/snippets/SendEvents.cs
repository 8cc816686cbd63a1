// Send session events safely: again until they are acknowledged, each stored once. .NET 6 or later, nothing else.
using System;
using System.Net.Http;
using System.Text;
using System.Text.Json;
using System.Threading.Tasks;

var session = Guid.NewGuid().ToString();
var now = DateTime.UtcNow.ToString("o");
var batch = new object[]
{
    new { @event = "start", player_id = "ada", session_id = session, ts = now, country = "FI" },
    new { @event = "end", player_id = "ada", session_id = session, ts = now },
};
Console.WriteLine(await Events.Send(args[0], batch));

static class Events
{
    const int MostAttempts = 10;
    static readonly HttpClient Client = new() { Timeout = TimeSpan.FromSeconds(10) };

    // Sends 1 to 10 events and returns the result of each. Throws when they are invalid or nothing helps.
    // The events name their session and moment, set once when they happen: sent again, they are the same events.
    public static async Task<JsonElement> Send(string url, object[] events)
    {
        var body = JsonSerializer.Serialize(events);
        for (var attempt = 0; attempt < MostAttempts; attempt++)
        {
            // With jitter, so that clients do not come back all at once.
            var seconds = Math.Min(1 << attempt, 30) * (0.5 + Random.Shared.NextDouble() / 2);
            var wait = TimeSpan.FromSeconds(seconds);
            try
            {
                using var content = new StringContent(body, Encoding.UTF8, "application/json");
                using var reply = await Client.PostAsync($"{url}/api/v1/events/", content);
                var text = await reply.Content.ReadAsStringAsync();
                if (reply.IsSuccessStatusCode)
                    return JsonDocument.Parse(text).RootElement.GetProperty("results");
                if ((int)reply.StatusCode < 500 && (int)reply.StatusCode != 429)
                    throw new InvalidOperationException($"Refused; do not send it again as it is: {text}");
                wait = reply.Headers.RetryAfter?.Delta ?? wait;
            }
            catch (Exception error) when (error is HttpRequestException or TaskCanceledException or JsonException)
            {
                // The reply was lost: the events may be stored or not, and sending them again is safe.
            }
            await Task.Delay(wait);
        }
        throw new TimeoutException("Not acknowledged. Keep the events, and send the same ones later.");
    }
}
