"""Audio of a live source leaves without the queue, and nobody can tell the difference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stream_peer import pcm_of

from telnyx_trio._outbox import Outbox
from telnyx_trio._playout import Playout
from telnyx_trio._segment import Segment
from telnyx_trio._types import Encoding, TelnyxMediaFormat
from telnyx_trio.audio import PcmData
from telnyx_trio.protocol import SendClear, SendMark, SendMedia

PACKET = pcm_of(np.arange(160, dtype=np.int16) * 50)
LEAD = 0.06

Message = SendMedia | SendMark | SendClear


class Side:
    """One outbox, and when what left it."""

    def __init__(self, encoding: Encoding, rate: int, *, tries_live: bool) -> None:
        self.outbox = Outbox(TelnyxMediaFormat(encoding, rate), Playout(LEAD))
        self.sent: list[tuple[float, Message]] = []
        self.n_live = 0
        self.playbacks: list[Segment] = []
        self._tries_live = tries_live

    def give(self, audio: PcmData | bytes, now: float) -> None:
        step = self.outbox.next_live(audio, now) if self._tries_live else None
        if step is not None:
            self.n_live += 1
            self.outbox.written(now)
            self.sent.append((now, step))
            return
        if isinstance(audio, bytes):
            self.outbox.put_packet(audio)
        elif audio.n_samples:
            self.outbox.put_audio(audio)
        self.send(now)

    def send(self, now: float) -> float:
        """Send what may leave now; return how long to wait."""
        while not isinstance(step := self.outbox.next(now), float):
            self.outbox.written(now)
            self.sent.append((now, step))
        return step

    def pass_time(self, now: float, until: float) -> None:
        while now + (wait := self.send(now)) <= until:
            now += wait


def started(encoding: Encoding = "PCMU", rate: int = 8000) -> Side:
    """A side that has sent one packet, which is being heard."""
    side = Side(encoding, rate, tries_live=True)
    side.give(pcm_of(np.zeros(rate // 50, np.int16), sample_rate=rate), 0.0)
    assert len(side.sent) == 1
    assert side.n_live == 0
    return side


@pytest.mark.parametrize(
    ("encoding", "rate"), [("PCMU", 8000), ("PCMA", 8000), ("L16", 16000), ("L16", 8000)]
)
def test_packet_of_a_live_source_is_not_queued(encoding: Encoding, rate: int) -> None:
    side = started(encoding, rate)
    packet = pcm_of(np.arange(rate // 50, dtype=np.int16), sample_rate=rate)
    step = side.outbox.next_live(packet, 0.02)
    assert isinstance(step, SendMedia)
    assert side.outbox.queued == 0
    assert side.outbox.packets_sent == 2


def test_payload_of_a_live_source_is_not_queued() -> None:
    side = started()
    payload = bytes(range(160))
    assert side.outbox.next_live(payload, 0.02) == SendMedia(payload)
    assert side.outbox.next_live(payload[1:], 0.04) is None
    side.outbox.put_audio(pcm_of(np.zeros(20, np.int16)))
    assert isinstance(side.outbox.next(0.04), float)
    assert side.outbox.next_live(payload, 0.04) is None


def test_lead_holds_for_it_too() -> None:
    side = started()
    assert side.outbox.next_live(PACKET, 0.0) is not None
    assert side.outbox.next_live(PACKET, 0.0) is not None
    assert side.outbox.next_live(PACKET, 0.0) is None
    assert side.outbox.next_live(PACKET, 0.02) is not None


@pytest.mark.parametrize(
    "pcm",
    [
        pcm_of(np.zeros(159, np.int16)),
        pcm_of(np.zeros(320, np.int16)),
        pcm_of(np.zeros(160, np.int16), sample_rate=16000),
        PcmData(8000, "f32", np.zeros(160, np.float32)),
        PcmData(8000, "s16", np.zeros((2, 160), np.int16), channels=2),
        pcm_of(np.zeros(0, np.int16)),
    ],
    ids=["short", "two packets", "other rate", "float", "stereo", "nothing"],
)
def test_other_audio_is_queued(pcm: PcmData) -> None:
    assert started().outbox.next_live(pcm, 0.02) is None


def test_what_waits_goes_first() -> None:
    """Whatever it is that waits; once it has left, there is no queue any more."""
    for wait in ("remainder", "mark", "playback", "clear"):
        side = started()
        if wait == "remainder":
            side.outbox.put_audio(pcm_of(np.zeros(20, np.int16)))
            assert isinstance(side.outbox.next(0.02), float)
        elif wait == "mark":
            side.outbox.put_mark("m")
        elif wait == "playback":
            side.outbox.open_playback(lambda _: None)
        else:
            side.outbox.clear(0.02)
        assert side.outbox.next_live(PACKET, 0.02) is None, wait


actions = st.one_of(
    st.tuples(st.just("packet"), st.integers(0, 3)),
    st.tuples(st.just("payload"), st.just(0)),
    st.tuples(st.just("chunk"), st.integers(0, 700)),
    st.tuples(st.just("wait"), st.sampled_from([0.005, 0.02, 0.02, 0.02, 0.05, 0.3])),
    st.tuples(st.just("mark"), st.just(0)),
    st.tuples(st.just("clear"), st.just(0)),
    st.tuples(st.just("play"), st.integers(0, 900)),
    st.tuples(st.just("cut"), st.just(0)),
)


@settings(max_examples=300, deadline=None)
@given(script=st.lists(actions, max_size=40))
def test_same_messages_at_the_same_times(script: list[tuple[str, float]]) -> None:
    """Whatever else happens, it sends what an outbox sends that queues everything."""
    sides = [Side("PCMU", 8000, tries_live=tries) for tries in (True, False)]
    now = 0.0
    for n, (what, amount) in enumerate(script):
        until = round(now + amount, 6) if what == "wait" else now
        for side in sides:
            act(side, n, what, amount, now)
            side.pass_time(now, until)
        now = until
    assert sides[0].sent == sides[1].sent
    for name in ("queued", "packets_sent", "underruns", "marks_queued"):
        assert getattr(sides[0].outbox, name) == getattr(sides[1].outbox, name)
    heard = [[side.outbox.heard(item, now) for item in side.playbacks] for side in sides]
    assert heard[0] == heard[1]


def act(side: Side, n: int, what: str, amount: float, now: float) -> None:
    if what == "packet":
        for k in range(int(amount)):
            side.give(pcm_of(np.full(160, 100 * n + k, np.int16)), now)
    elif what == "payload":
        side.give(bytes([n]) * 160, now)
    elif what == "chunk":
        side.give(pcm_of(np.full(int(amount), 7 * n, np.int16)), now)
    elif what == "mark":
        side.outbox.put_mark(f"m{n}")
    elif what == "clear":
        side.outbox.clear(now)
    elif what == "play":
        playback = side.outbox.open_playback(lambda _: None)
        side.playbacks.append(playback)
        if amount:
            side.outbox.put_audio(pcm_of(np.full(int(amount), 9 * n, np.int16)), playback)
        playback.close()
    elif what == "cut":
        for playback in side.playbacks[-1:]:
            side.outbox.cut(playback, now)
