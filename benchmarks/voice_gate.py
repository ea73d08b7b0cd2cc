"""How soon the voice gate hears speech, how often it misses it, and what else it takes for speech.

python benchmarks/voice_gate.py PATH... [--per-path 100] [--webrtc]

A path is a WAV file of 16-bit PCM, or a folder of them. Each is put at -27 dBFS over one of four
noises of a line, two seconds of which come before it. Speech that is free to take: Debian's
packages asterisk-core-sounds-en-wav, -es-wav, -fr-wav, -it-wav and -ru-wav, by four speakers.

--webrtc does the same with WebRTC's detector at its strictest (``pip install webrtcvad``), under
the rule of three voiced windows in six that the gate has.
"""

import argparse
import importlib
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from telnyx_trio import PcmData, VoiceGate

RATE = 8000
SIZE = 160
SPEECH_RMS = 1500.0
LEAD_IN = 2.0
MIN_SPEECH_SECONDS = 0.3

Detect = Callable[[np.ndarray], Iterator[float]]
"""Yields when each beginning of speech was known, in seconds."""


def noise(kind: str, n: int, random_: np.random.Generator) -> np.ndarray:
    """Noise of RMS 1."""
    made = random_.standard_normal(n)
    if kind in ("pink", "fan"):
        spectrum = np.fft.rfft(made) / np.sqrt(np.maximum(np.fft.rfftfreq(n, 1 / RATE), 20))
        made = np.fft.irfft(spectrum, n)
        made /= made.std()
    if kind in ("hum", "fan"):
        time = np.arange(n) / RATE
        hum = np.sum([np.sin(2 * np.pi * 50 * h * time + h) / h for h in range(1, 12)], axis=0)
        hum /= hum.std()
        made = hum if kind == "hum" else (made + 0.5 * hum) * (1 + 0.2 * np.sin(6 * np.pi * time))
    return np.asarray(made / made.std())


NOISES = ("white", "pink", "hum", "fan")


def packets(signal: np.ndarray) -> Iterator[tuple[float, np.ndarray]]:
    """Yield packets of 20 ms and when each ends."""
    samples = np.clip(np.rint(signal), -32768, 32767).astype(np.int16)
    for end in range(SIZE, len(samples) + 1, SIZE):
        yield end / RATE, samples[end - SIZE : end]


def by_gate(signal: np.ndarray) -> Iterator[float]:
    """Listen with our gate."""
    gate = VoiceGate(RATE)
    for now, packet in packets(signal):
        yield from (now for edge in gate.process(packet) if edge.begins)


def by_webrtc(signal: np.ndarray) -> Iterator[float]:
    """Listen with WebRTC's detector: three voiced packets of six begin speech, none ends it."""
    detector = importlib.import_module("webrtcvad").Vad(3)
    recent = [False] * 6
    speaking = False
    for now, packet in packets(signal):
        recent = [*recent[1:], detector.is_speech(packet.tobytes(), RATE)]
        if not speaking and sum(recent) >= 3:
            yield now
        speaking = any(recent) if speaking else sum(recent) >= 3


def window_power(signal: np.ndarray) -> np.ndarray:
    """Power of each 20 ms."""
    windows = signal[: len(signal) // SIZE * SIZE].reshape(-1, SIZE)
    return np.asarray(np.square(windows).mean(axis=1))


def load(paths: list[Path], per_path: int) -> list[np.ndarray]:
    """Read the sentences, each of SPEECH_RMS where it is no pause."""
    random_ = random.Random(1)
    sentences = []
    for path in paths:
        files = sorted(path.rglob("*.wav")) if path.is_dir() else [path]
        # Such prompts are beeps and pauses.
        files = [file for file in files if not {"silence", "beep", "tone"} & set(_words(file))]
        for file in random_.sample(files, min(per_path, len(files))):
            signal = PcmData.from_wav(file).resample(RATE, 1).samples.astype(float)
            power = window_power(signal)
            if len(power) * 0.02 >= MIN_SPEECH_SECONDS and power.any():
                level = np.sqrt(power[power > power.max() / 1000].mean())
                sentences.append(signal * SPEECH_RMS / level)
    return sentences


def _words(file: Path) -> list[str]:
    return [*file.stem.replace("-", " ").replace("tt", " ").split(), file.parent.name]


def measure(detect: Detect, sentences: list[np.ndarray], snr_db: float) -> None:
    """Print how soon speech is known after it rises above the noise."""
    random_ = np.random.default_rng(3)
    level = SPEECH_RMS / 10 ** (snr_db / 20)
    latencies, n_missed, n_early = [], 0, 0
    for number, sentence in enumerate(sentences):
        power = window_power(sentence)
        heard = np.flatnonzero(power > max(power.max() / 1000, level**2))
        begins = LEAD_IN + heard[0] * 0.02
        padded = np.concatenate((np.zeros(round(LEAD_IN * RATE)), sentence, np.zeros(RATE)))
        noisy = padded + level * noise(NOISES[number % len(NOISES)], len(padded), random_)
        found = next(detect(noisy), None)
        n_missed += found is None
        n_early += found is not None and found < begins - 0.1
        if found is not None and found >= begins - 0.1:
            latencies.append(1000 * (found - begins))
    known = "never in its time"
    if latencies:
        known = "known after {:.0f} ms, 95 % after {:.0f} ms".format(
            *np.percentile(latencies, [50, 95])
        )
    print(f"{snr_db:3.0f} dB: {known}; of {len(sentences)}: {n_missed} missed, {n_early} too early")


def count_false_starts(detect: Detect) -> None:
    """Print how often speech begins in noise, the level of which jumps each second."""
    random_ = np.random.default_rng(3)
    for kind in NOISES:
        n_starts = 0
        for _ in range(3):
            gains = 10 ** (random_.choice([-20, -12, -6, 0, 6, 12, 20], 60) / 20)
            signal = 100 * noise(kind, 60 * RATE, random_) * np.repeat(gains, RATE)
            n_starts += sum(1 for _ in detect(signal))
        print(f"{kind}: speech begins {n_starts} times in three minutes with 180 jumps")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH")
    parser.add_argument("--per-path", type=int, default=100, help="files of a folder, at most")
    parser.add_argument("--webrtc", action="store_true", help="use WebRTC's detector instead")
    arguments = parser.parse_args()
    detect = by_webrtc if arguments.webrtc else by_gate
    sentences = load(arguments.paths, arguments.per_path)
    for snr_db in (40, 20, 10, 5):
        measure(detect, sentences, snr_db)
    count_false_starts(detect)


if __name__ == "__main__":
    main()
