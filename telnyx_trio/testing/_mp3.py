"""MP3 files, where PyAV is installed; its import costs a tenth of a second, so it waits for use."""

from __future__ import annotations

import importlib.util
import io

import numpy as np
from numpy.typing import NDArray


def has_mp3() -> bool:
    """Return whether MP3 can be made and played here."""
    return importlib.util.find_spec("av") is not None


def decode_mp3(content: bytes) -> tuple[NDArray[np.int16], int]:
    """Decode an MP3 file.

    Returns:
        int16, shape (n,), mono; and the sample rate in Hz.

    Raises:
        ValueError: it cannot be decoded, or PyAV is not installed.
    """
    if not has_mp3():
        raise ValueError("the simulator needs PyAV for MP3: pip install 'telnyx-trio[codecs]'")
    import av

    try:
        with av.open(io.BytesIO(content), "r") as container:
            stream = container.streams.audio[0]
            resampler = av.AudioResampler(format="s16", layout="mono", rate=stream.rate)
            runs = [
                part.to_ndarray().reshape(-1)
                for frame in (*container.decode(stream), None)
                for part in resampler.resample(frame)
            ]
            return np.concatenate(runs).astype(np.int16), stream.rate
    except (av.FFmpegError, IndexError, ValueError) as error:
        raise ValueError("the MP3 file cannot be decoded") from error


def encode_mp3(samples: NDArray[np.int16], sample_rate: int) -> bytes:
    """Encode int16 of shape (1 or 2, n) as an MP3 file; ``has_mp3`` must be true."""
    import av

    file = io.BytesIO()
    layout = "mono" if samples.shape[0] == 1 else "stereo"
    with av.open(file, "w", format="mp3") as container:
        stream = container.add_stream("mp3", rate=sample_rate, layout=layout)
        interleaved = np.ascontiguousarray(samples.T).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(interleaved, format="s16", layout=layout)
        frame.sample_rate = sample_rate
        for part in (frame, None):
            container.mux(stream.encode(part))
    return file.getvalue()
