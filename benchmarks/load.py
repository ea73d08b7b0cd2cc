"""A load of phone calls on a media server: many media sockets, each a packet every 20 ms.

Independent of the library: its own WebSocket frames, its own messages, its own pacing. One thread,
one epoll; a packet costs it about 15 us, so that one core carries 300 calls and more.

A media server may be asked in two ways:

- "socket": connect to a path, and speak as Telnyx does from there;
- "telnyx": be Telnyx. Send a signed ``call.initiated``, take the ``answer`` command at a REST API,
  and connect to the ``stream_url`` that it names.

Each call sends random PCMU and expects it back, bit for bit, in order. The delay of a packet is the
time from when it was due to leave to when its last byte has come back.
"""

from __future__ import annotations

import argparse
import base64
import heapq
import json
import os
import random
import select
import socket
import struct
import sys
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

PTIME = 0.02
PACKET_SIZE = 160
CLIP_PACKETS = 500
"""Packets of random audio, which all calls speak, each from another place on."""


@dataclass
class Stats:
    """What one run has shown."""

    delays: list[float] = field(default_factory=list)
    sent: int = 0
    echoed: int = 0
    wrong: int = 0
    late_sends: int = 0
    first_delays: list[float] = field(default_factory=list)


def make_clip() -> list[bytes]:
    """Return packets that are told apart by their first bytes."""
    rng = random.Random(20)
    # Of the two zeros of PCMU a decoder makes one, so that only one of them comes back.
    return [rng.randbytes(PACKET_SIZE).replace(b"\x7f", b"\xff") for _ in range(CLIP_PACKETS)]


CLIP = make_clip()
ENCODED = [base64.b64encode(packet) for packet in CLIP]


def frame(text: bytes) -> bytes:
    """Return a masked text frame."""
    mask = os.urandom(4)
    size = len(text)
    head = (
        struct.pack("!BB", 0x81, 0x80 | size)
        if size < 126
        else struct.pack("!BBH", 0x81, 0x80 | 126, size)
    )
    repeated = (mask * (size // 4 + 1))[:size]
    masked = (int.from_bytes(text, "big") ^ int.from_bytes(repeated, "big")).to_bytes(size, "big")
    return head + mask + masked


class Call:
    """One media socket."""

    def __init__(self, number: int, sock: socket.socket, start: int) -> None:
        self.number = number
        self.socket = sock
        self.start = start
        self.stream_id = f"stream-{number}"
        self.n_sent = 0
        self.n_echoed = 0
        self.due: list[float] = []
        self.buffer = bytearray()
        self.unsent = b""
        self.first_due: float | None = None
        self.offset = 0

    def media(self) -> bytes:
        n = self.n_sent
        payload = ENCODED[(self.start + n) % CLIP_PACKETS]
        text = (
            b'{"event":"media","sequence_number":"%d","media":{"track":"inbound","chunk":"%d",'
            b'"timestamp":"%d","payload":"%s"},"stream_id":"%s"}'
            % (n + 2, n + 1, n * 20, payload, self.stream_id.encode())
        )
        return frame(text)

    def send(self, data: bytes) -> None:
        if self.unsent:
            self.unsent += data
            return
        try:
            n = self.socket.send(data)
        except BlockingIOError:
            n = 0
        self.unsent = data[n:]


def connect(url: str, number: int) -> socket.socket:
    """Shake hands at a ws:// URL; return the socket."""
    parts = urlsplit(url)
    sock = socket.create_connection((parts.hostname or "", parts.port or 80), timeout=30)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    key = base64.b64encode(os.urandom(16)).decode()
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    lines = (
        f"GET {path} HTTP/1.1",
        f"Host: {parts.netloc}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
        "\r\n",
    )
    sock.sendall("\r\n".join(lines).encode())
    head = b""
    while b"\r\n\r\n" not in head:
        data = sock.recv(1)
        if not data:
            raise ConnectionError(f"call {number}: refused: {head[:200]!r}")
        head += data
    if b" 101 " not in head.split(b"\r\n")[0]:
        raise ConnectionError(f"call {number}: {head[:200]!r}")
    return sock


class Telnyx:
    """Its REST API and its webhooks, as much of them as an answered call needs."""

    def __init__(self, port: int, webhook_url: str) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        self.webhook_url = webhook_url
        seed = b"benchmark-benchmark-benchmark-32"
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        raw = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.public_key = base64.b64encode(raw).decode()
        self.answers: dict[str, str] = {}
        self.answered = threading.Condition()
        telnyx = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(
                    self.rfile.read(int(self.headers.get("content-length", 0))) or "{}"
                )
                call_id, _, action = self.path.rpartition("/calls/")[2].partition("/actions/")
                reply = b'{"data":{"result":"ok"}}'
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)
                if action == "answer":
                    with telnyx.answered:
                        telnyx.answers[unquote(call_id)] = body["stream_url"]
                        telnyx.answered.notify_all()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def post(self, event_type: str, call_id: str, **payload: Any) -> None:
        body = json.dumps(
            {
                "data": {
                    "event_type": event_type,
                    "id": os.urandom(8).hex(),
                    "occurred_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                    "record_type": "event",
                    "payload": {
                        "call_control_id": call_id,
                        "call_leg_id": f"leg-{call_id}",
                        "call_session_id": f"session-{call_id}",
                        "connection_id": "1",
                        "direction": "incoming",
                        "from": "+15550000001",
                        "to": "+15550000002",
                        **payload,
                    },
                }
            }
        ).encode()
        timestamp = str(int(time.time()))
        signature = base64.b64encode(self._key.sign(timestamp.encode() + b"|" + body)).decode()
        request = urllib.request.Request(
            self.webhook_url,
            body,
            {
                "content-type": "application/json",
                "telnyx-timestamp": timestamp,
                "telnyx-signature-ed25519": signature,
            },
        )
        with urllib.request.urlopen(request, timeout=30) as reply:
            reply.read()

    def open(self, number: int) -> tuple[str, str]:
        """Ring; return the id of the call and the URL of its media, once it is answered."""
        call_id = f"v3:call-{number}-{os.urandom(3).hex()}"
        self.post("call.initiated", call_id, state="parked")
        with self.answered:
            if not self.answered.wait_for(lambda: call_id in self.answers, 30):
                raise TimeoutError(f"call {number} was not answered")
        self.post("call.answered", call_id, state="answered")
        return call_id, self.answers[call_id]


def cpu_seconds(pid: int) -> float:
    """Processor time of a process and its threads, in seconds."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    ticks: int = int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_bytes(pid: int) -> int:
    """Resident memory of a process."""
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Loop:
    """Sends and receives for all calls."""

    def __init__(self) -> None:
        self.epoll = select.epoll()
        self.calls: dict[int, Call] = {}
        self.schedule: list[tuple[float, int]] = []
        self.stats = Stats()
        self.measures = False
        self.broken: list[int] = []

    def add(self, call: Call, first_due: float) -> None:
        call.socket.setblocking(False)
        fd = call.socket.fileno()
        self.calls[fd] = call
        self.epoll.register(fd, select.EPOLLIN)
        heapq.heappush(self.schedule, (first_due, fd))

    def run(self, until: float) -> None:
        schedule, calls = self.schedule, self.calls
        clock = time.perf_counter
        while True:
            now = clock()
            if now >= until:
                return
            while schedule and schedule[0][0] <= now:
                due, fd = heapq.heappop(schedule)
                call = calls.get(fd)
                if call is None:
                    continue
                if self.measures:
                    self.stats.sent += 1
                    if now - due > 0.005:
                        self.stats.late_sends += 1
                call.due.append(max(due, now) if now - due > 0.005 else due)
                call.send(call.media())
                call.n_sent += 1
                heapq.heappush(schedule, (due + PTIME, fd))
                now = clock()
            wait = min(schedule[0][0] if schedule else until, until) - now
            for fd, event in self.epoll.poll(max(wait, 0)):
                self.receive(fd, event)

    def receive(self, fd: int, event: int) -> None:
        call = self.calls[fd]
        try:
            data = call.socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        now = time.perf_counter()
        if not data:
            self.drop(fd)
            return
        if call.unsent:
            rest, call.unsent = call.unsent, b""
            call.send(rest)
        buffer = call.buffer
        buffer += data
        position = 0
        while len(buffer) - position >= 2:
            size = buffer[position + 1] & 0x7F
            start = position + 2
            if size == 126:
                if len(buffer) < start + 2:
                    break
                size = int.from_bytes(buffer[start : start + 2], "big")
                start += 2
            elif size == 127:
                if len(buffer) < start + 8:
                    break
                size = int.from_bytes(buffer[start : start + 8], "big")
                start += 8
            if len(buffer) < start + size:
                break
            opcode = buffer[position] & 0x0F
            if opcode == 1:
                self.take(call, buffer[start : start + size], now)
            elif opcode == 9:
                pong = frame(bytes(buffer[start : start + size]))
                call.send(b"\x8a" + pong[1:])
            position = start + size
        del buffer[:position]

    def take(self, call: Call, text: bytearray, now: float) -> None:
        at = text.find(b'"payload":')
        if at < 0 or b'"media"' not in text[:80]:
            if b'"mark"' in text[:60]:
                call.send(frame(bytes(text)))
            return
        first = text.index(b'"', at + 10) + 1
        payload = base64.b64decode(text[first : text.index(b'"', first)])
        # Pieces of any size are compared with what was said, byte for byte.
        position = call.offset
        call.offset += len(payload)
        said = b"".join(
            CLIP[(call.start + n) % CLIP_PACKETS]
            for n in range(
                position // PACKET_SIZE, (position + len(payload) - 1) // PACKET_SIZE + 1
            )
        )
        skip = position % PACKET_SIZE
        is_right = said[skip : skip + len(payload)] == payload
        while call.n_echoed < call.offset // PACKET_SIZE and call.n_echoed < len(call.due):
            delay = now - call.due[call.n_echoed]
            call.n_echoed += 1
            if call.n_echoed == 1:
                self.stats.first_delays.append(delay)
            if self.measures:
                self.stats.echoed += 1
                self.stats.delays.append(delay)
        if not is_right:
            self.stats.wrong += 1

    def drop(self, fd: int) -> None:
        call = self.calls.pop(fd)
        self.epoll.unregister(fd)
        call.socket.close()
        self.broken.append(call.number)


def percentile(values: list[float], percent: float) -> float | None:
    """Return a percentile in milliseconds."""
    if not values:
        return None
    ordered = sorted(values)
    return round(1000 * ordered[min(len(ordered) - 1, int(percent / 100 * len(ordered)))], 3)


def main() -> None:
    """Run one load, and print what it has shown as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True, help="ws:// of a media socket, or of a webhook")
    parser.add_argument("--how", choices=("socket", "telnyx"), default="socket")
    parser.add_argument("--rest-port", type=int, default=9301)
    parser.add_argument("--calls", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--warm-up", type=float, default=2.0)
    parser.add_argument("--server-pid", type=int, required=True)
    options = parser.parse_args()
    telnyx = Telnyx(options.rest_port, options.url) if options.how == "telnyx" else None
    before = memory_bytes(options.server_pid)
    loop = Loop()
    ids = []
    for number in range(options.calls):
        url = options.url
        call_id = f"call-{number}"
        if telnyx is not None:
            call_id, url = telnyx.open(number)
            ids.append(call_id)
        call = Call(number, connect(url, number), start=(37 * number) % CLIP_PACKETS)
        start = {
            "event": "start",
            "sequence_number": "1",
            "start": {
                "user_id": "u",
                "call_control_id": call_id,
                "call_session_id": f"session-{call_id}",
                "media_format": {"encoding": "PCMU", "sample_rate": 8000, "channels": 1},
            },
            "stream_id": call.stream_id,
        }
        call.socket.sendall(frame(b'{"event":"connected","version":"1.0.0"}'))
        call.socket.sendall(frame(json.dumps(start).encode()))
        # Spread over the 20 ms, as the calls of strangers are.
        now = time.perf_counter()
        loop.add(call, now + PTIME * ((number * 0.618) % 1.0))
        loop.run(time.perf_counter() + 0.005)
    loop.run(time.perf_counter() + options.warm_up)
    loop.measures = True
    pid = options.server_pid
    began_at, cpu_before, own_before = time.perf_counter(), cpu_seconds(pid), time.process_time()
    loop.run(began_at + options.seconds)
    elapsed = time.perf_counter() - began_at
    cpu = cpu_seconds(pid) - cpu_before
    own = time.process_time() - own_before
    after = memory_bytes(pid)
    loop.measures = False
    sent = sum(call.n_sent for call in loop.calls.values())
    # What is under way may still come.
    loop.schedule.clear()
    loop.run(time.perf_counter() + 1.0)
    echoed = sum(call.n_echoed for call in loop.calls.values())
    stats = loop.stats
    for call in loop.calls.values():
        call.socket.close()
    if telnyx is not None:
        for call_id in ids[:1]:
            telnyx.post("call.hangup", call_id, hangup_cause="normal_clearing")
    json.dump(
        {
            "calls": options.calls,
            "echoed_per_second": round(stats.echoed / elapsed, 1),
            "us_per_packet": round(1e6 * cpu / stats.echoed, 1) if stats.echoed else None,
            "server_load": round(cpu / elapsed, 3),
            "load_load": round(own / elapsed, 3),
            "p50_ms": percentile(stats.delays, 50),
            "p99_ms": percentile(stats.delays, 99),
            "max_ms": percentile(stats.delays, 100),
            "first_p99_ms": percentile(stats.first_delays, 99),
            "lost": sent - echoed,
            "wrong": stats.wrong,
            "broken": len(loop.broken),
            "late_sends": stats.late_sends,
            "bytes_per_call": (after - before) // options.calls,
        },
        sys.stdout,
    )
    print()


if __name__ == "__main__":
    main()
