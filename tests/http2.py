"""As much of HTTP/2 (RFC 9113, with prior knowledge) as it takes to post bodies of any size, and to break them off."""

import socket
from typing import Self
from urllib.parse import urlsplit

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
ACK = END_STREAM = 0x1
END_HEADERS = 0x4
CANCEL = 8
MOST_FRAME_BYTES = 16_384
# What a server lets a client send until it says more.
FIRST_WINDOW_BYTES = 65_535


class Http2Client:
    """One connection. Use it as a context."""

    def __init__(self, url: str) -> None:
        self._authority = urlsplit(url).netloc
        host, port = self._authority.split(":")
        self._socket = socket.create_connection((host, int(port)), timeout=20)
        self._incoming = self._socket.makefile("rb")
        self._stream = -1
        self._window = self._first_window = FIRST_WINDOW_BYTES
        self._stream_window = 0
        self._reply = b""
        self._is_over = False
        self._socket.sendall(PREFACE)
        self._send(SETTINGS, b"")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._incoming.close()
        self._socket.close()

    def post(self, path: str, body: bytes, *, says: int | None = None, ends: bool = True) -> bytes:
        """The body of the reply. ``says`` is the content-length; without ``ends`` the stream is reset behind the body,
        and there is none."""
        self._stream += 2
        self._stream_window, self._reply, self._is_over = self._first_window, b"", False
        self._send(HEADERS, self._head(path, says), flags=END_HEADERS, stream=self._stream)
        rest = memoryview(body)
        while rest and not self._is_over:
            size = min(len(rest), self._window, self._stream_window, MOST_FRAME_BYTES)
            if size:
                self._window -= size
                self._stream_window -= size
                self._send(DATA, bytes(rest[:size]), stream=self._stream)
                rest = rest[size:]
            else:
                self._receive()
        if not ends:
            self._send(RESET, CANCEL.to_bytes(4, "big"), stream=self._stream)
            return b""
        if not self._is_over:
            self._send(DATA, b"", flags=END_STREAM, stream=self._stream)
        while not self._is_over:
            self._receive()
        return self._reply

    def _head(self, path: str, says: int | None) -> bytes:
        fields = {":method": "POST", ":scheme": "http", ":path": path, ":authority": self._authority}
        fields["content-type"] = "application/json"
        if says is not None:
            fields["content-length"] = str(says)
        # Literals that nobody indexes (RFC 7541, 6.2.2).
        return b"".join(b"\0" + _text(name) + _text(value) for name, value in fields.items())

    def _send(self, kind: int, payload: bytes, *, flags: int = 0, stream: int = 0) -> None:
        head = len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big")
        self._socket.sendall(head + payload)

    def _receive(self) -> None:
        head = self._incoming.read(9)
        if len(head) < 9:
            raise ConnectionError("the server has closed the connection")
        size, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
        stream = int.from_bytes(head[5:], "big")
        payload = self._incoming.read(size)
        if kind == GOAWAY:
            raise ConnectionError(f"the server goes away: {payload!r}")
        if kind == WINDOW_UPDATE:
            self._widen(stream, int.from_bytes(payload, "big"))
        elif kind in (SETTINGS, PING) and not flags & ACK:
            if kind == SETTINGS:
                self._note_settings(payload)
            self._send(kind, payload if kind == PING else b"", flags=ACK)
        elif stream == self._stream:
            self._reply += payload if kind == DATA else b""
            self._is_over = kind == RESET or bool(kind in (DATA, HEADERS) and flags & END_STREAM)

    def _widen(self, stream: int, size: int) -> None:
        if stream == 0:
            self._window += size
        elif stream == self._stream:
            self._stream_window += size

    def _note_settings(self, payload: bytes) -> None:
        for first in range(0, len(payload), 6):
            if int.from_bytes(payload[first : first + 2], "big") == 4:  # SETTINGS_INITIAL_WINDOW_SIZE
                size = int.from_bytes(payload[first + 2 : first + 6], "big")
                self._stream_window += size - self._first_window
                self._first_window = size


def _text(value: str) -> bytes:
    assert len(value) < 127
    return bytes([len(value)]) + value.encode()
