// Send session events safely: again until they are acknowledged, each stored once. Standard library only.
package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand"
	"net/http"
	"os"
	"strconv"
	"time"
)

const mostAttempts = 10

var client = &http.Client{Timeout: 10 * time.Second}

// Event names its session and its moment, set once when it happens: sent again, it is the same event.
type Event struct {
	Event     string `json:"event"`
	PlayerID  string `json:"player_id"`
	SessionID string `json:"session_id"`
	TS        string `json:"ts"`
	Country   string `json:"country,omitempty"`
}

// Send sends 1 to 10 events and returns the result of each. It fails when they are invalid or nothing helps.
func Send(url string, events []Event) (json.RawMessage, error) {
	body, err := json.Marshal(events)
	if err != nil {
		return nil, err
	}
	for attempt := 0; attempt < mostAttempts; attempt++ {
		wait := time.Duration(min(1<<attempt, 30)) * time.Second
		wait = wait/2 + time.Duration(mathrand.Int63n(int64(wait/2))) // jitter: not all clients at once
		reply, err := client.Post(url+"/api/v1/events/", "application/json", bytes.NewReader(body))
		if err == nil {
			text, readErr := io.ReadAll(reply.Body)
			reply.Body.Close()
			again := reply.StatusCode == 429 || reply.StatusCode >= 500
			if reply.StatusCode >= 300 && !again {
				return nil, fmt.Errorf("refused; do not send it again as it is: %s", text)
			}
			var receipt struct{ Results json.RawMessage }
			if !again && readErr == nil && json.Unmarshal(text, &receipt) == nil {
				return receipt.Results, nil
			}
			if seconds, err := strconv.Atoi(reply.Header.Get("Retry-After")); err == nil {
				wait = time.Duration(seconds) * time.Second
			}
		} // else the reply was lost: the events may be stored or not, and sending them again is safe
		time.Sleep(wait)
	}
	return nil, errors.New("not acknowledged: keep the events, and send the same ones later")
}

func newID() string {
	b := make([]byte, 16)
	rand.Read(b)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func main() {
	session, now := newID(), time.Now().UTC().Format(time.RFC3339Nano)
	results, err := Send(os.Args[1], []Event{
		{"start", "ada", session, now, "FI"},
		{"end", "ada", session, now, ""},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(string(results))
}
