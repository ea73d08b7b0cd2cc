"""Media sockets, and the pace at which they speak."""

from __future__ import annotations

import asyncio
import base64
import heapq
import json
import os
import random
import socket
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from benchmarks.load.frames import CLOSE, PING, PONG, TEXT, Frames, frame

PTIME = 0.02
PACKET_SIZE = 160
CLIP_PACKETS = 500
LATE = 0.005
"""Seconds after which a packet was sent late, which is the load's own fault."""


def make_clip() -> bytes:
    """Return random audio, which all calls speak, each from another place on."""
    # Of the two zeros of PCMU a decoder makes one, so that only one of them comes back.
    return random.Random(20).randbytes(PACKET_SIZE * CLIP_PACKETS).replace(b"\x7f", b"\xff")


CLIP = make_clip()
ENCODED = [base64.b64encode(CLIP[at : at + PACKET_SIZE]) for at in range(0, len(CLIP), PACKET_SIZE)]
AROUND = CLIP * 3
"""The clip over and over, so that any second of it is one slice."""


@dataclass
class Stats:
    """What the calls have shown while it counted."""

    counts: bool = False
    delays: list[float] = field(default_factory=list)
    sent: int = 0
    echoed: int = 0
    late_sends: int = 0


class MediaCall:
    """One media socket, as Telnyx opens it.

    Attributes:
        broken: whether the peer has closed it.
        n_sent, n_echoed: packets.
        wrong: messages whose audio was not what is due.
        first_echo: seconds from the handshake's end to the first packet back.
        heard: set when that is back.
    """

    def __init__(self, number: int, call_id: str, stats: Stats) -> None:
        self.number = number
        self.call_id = call_id
        self.stats = stats
        self.broken = False
        self.n_sent = self.n_echoed = self.wrong = 0
        self.first_echo: float | None = None
        self.heard = asyncio.Event()
        self.is_open = False
        self._stream_id = f"stream-{number}".encode()
        self._start = (37 * number) % CLIP_PACKETS
        self._offset = 0
        self._due: list[float] = []
        self._frames = Frames()
        self._unsent = b""
        self._shaken_at = 0.0
        self._socket: socket.socket | None = None

    async def connect(self, url: str) -> None:
        """Shake hands at a ws:// URL, and say ``connected`` and ``start``.

        Raises:
            ConnectionError: it was refused.
        """
        loop = asyncio.get_running_loop()
        parts = urlsplit(url)
        sock = self._socket = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await loop.sock_connect(sock, (parts.hostname or "", parts.port or 80))
        key = base64.b64encode(os.urandom(16)).decode()
        lines = (
            f"GET {parts.path}{'?' if parts.query else ''}{parts.query} HTTP/1.1",
            f"Host: {parts.netloc}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Version: 13",
            "\r\n",
        )
        await loop.sock_sendall(sock, "\r\n".join(lines).encode())
        head = b""
        while b"\r\n\r\n" not in head:
            data = await loop.sock_recv(sock, 4096)
            if not data:
                raise ConnectionError(f"call {self.number} was refused: {head[:200]!r}")
            head += data
        head, _, rest = head.partition(b"\r\n\r\n")
        if b" 101 " not in head.split(b"\r\n")[0] + b" ":
            raise ConnectionError(f"call {self.number} was refused: {head[:200]!r}")
        self._shaken_at = time.perf_counter()
        self.is_open = True
        start = {
            "event": "start",
            "sequence_number": "1",
            "start": {
                "user_id": "u",
                "call_control_id": self.call_id,
                "call_session_id": f"session-{self.call_id}",
                "from": "+15550000001",
                "to": "+15550000002",
                "media_format": {"encoding": "PCMU", "sample_rate": 8000, "channels": 1},
            },
            "stream_id": self._stream_id.decode(),
        }
        self._send(
            frame(b'{"event":"connected","version":"1.0.0"}') + frame(json.dumps(start).encode())
        )
        loop.add_reader(sock, self._readable)
        self._take(rest)

    def speak(self, due: float, now: float) -> None:
        """Send the next packet, which was due at a time."""
        n = self.n_sent
        late = now - due > LATE
        if self.stats.counts:
            self.stats.sent += 1
            self.stats.late_sends += late
        self._due.append(now if late else due)
        self.n_sent = n + 1
        self._send(
            frame(
                b'{"event":"media","sequence_number":"%d","media":{"track":"inbound","chunk":"%d",'
                b'"timestamp":"%d","payload":"%s"},"stream_id":"%s"}'
                % (
                    n + 2,
                    n + 1,
                    n * 20,
                    ENCODED[(self._start + n) % CLIP_PACKETS],
                    self._stream_id,
                )
            )
        )

    def close(self) -> None:
        """Say goodbye, and close the socket."""
        if self._socket is None:
            return
        if self.is_open:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._send(frame(b'{"event":"stop"}') + frame(b"\x03\xe8", CLOSE))
        self.is_open = False
        self._socket.close()

    def _send(self, data: bytes) -> None:
        assert self._socket is not None
        if self._unsent:
            data, self._unsent = self._unsent + data, b""
        try:
            n = self._socket.send(data)
        except BlockingIOError:
            n = 0
        except OSError:
            return  # reading tells
        if n < len(data):
            self._unsent = data[n:]

    def _readable(self) -> None:
        assert self._socket is not None
        try:
            data = self._socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._take(data)
            if self._unsent and self.is_open:
                self._send(b"")
        else:
            self._end()

    def _end(self) -> None:
        assert self._socket is not None
        self.broken = True
        self.is_open = False
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _take(self, data: bytes) -> None:
        now = time.perf_counter()
        for opcode, content in self._frames.feed(data):
            if opcode == TEXT:
                self._take_message(content, now)
            elif opcode == PING:
                self._send(frame(content, PONG))
            elif opcode == CLOSE:
                self._send(frame(content[:2], CLOSE))
                self._end()
                return

    def _take_message(self, text: bytes, now: float) -> None:
        at = text.find(b'"payload":')
        if at < 0 or b'"media"' not in text[:80]:
            if b'"mark"' in text[:60]:
                self._send(frame(text))
            return
        first = text.index(b'"', at + 10) + 1
        payload = base64.b64decode(text[first : text.index(b'"', first)])
        begin = (self._start * PACKET_SIZE + self._offset) % len(CLIP)
        if AROUND[begin : begin + len(payload)] != payload:
            self.wrong += 1
        self._offset += len(payload)
        while self.n_echoed < min(self._offset // PACKET_SIZE, self.n_sent):
            if self.n_echoed == 0:
                self.first_echo = now - self._shaken_at
                self.heard.set()
            if self.stats.counts:
                self.stats.echoed += 1
                self.stats.delays.append(now - self._due[self.n_echoed])
            self.n_echoed += 1


class Pacer:
    """Lets calls speak every 20 ms."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, MediaCall]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._ends_with: int | None = None

    def add(self, call: MediaCall) -> None:
        """Let a call speak from now on; its first packet leaves at once."""
        now = time.perf_counter()
        call.speak(now, now)
        # Spread over the 20 ms, as the calls of strangers are.
        self._push(now + PTIME * (0.5 + (call.number * 0.618) % 1.0), call)

    def finish(self, multiple: int) -> None:
        """Let each call stop as soon as it has said a multiple of so many packets."""
        self._ends_with = multiple

    def _push(self, due: float, call: MediaCall) -> None:
        heapq.heappush(self._heap, (due, call.number, call))
        if self._heap[0][2] is call:
            self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        wait = self._heap[0][0] - time.perf_counter()
        self._timer = loop.call_later(max(0.0, wait), self._tick)

    def _tick(self) -> None:
        self._timer = None
        heap = self._heap
        # What has come in meanwhile is read between the packets of calls that are all late.
        until = time.perf_counter() + 0.002
        while heap:
            due, number, call = heap[0]
            now = time.perf_counter()
            if due > now or now > until:
                break
            if not call.is_open or self._is_over(call):
                heapq.heappop(heap)
                continue
            call.speak(due, now)
            heapq.heapreplace(heap, (due + PTIME, number, call))
        if heap:
            self._set_timer()

    def _is_over(self, call: MediaCall) -> bool:
        return self._ends_with is not None and call.n_sent % self._ends_with == 0
