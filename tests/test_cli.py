"""The command line, run as a user runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import wave
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import pytest
import trio
from numpy.typing import NDArray

from telnyx_trio._cli import main

SPOKEN_AT = 3.2
"""When the demo's caller begins to speak, in seconds."""


async def run(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command in a process of its own, warnings being errors."""
    command = [sys.executable, "-W", "error", "-m", "telnyx_trio", *arguments]
    return await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False)


def read_stereo(path: Path) -> tuple[NDArray[np.float64], int]:
    """Return samples of shape (2, n) and their rate."""
    with wave.open(str(path), "rb") as file:
        assert file.getnchannels() == 2
        assert file.getsampwidth() == 2
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return samples.reshape(-1, 2).T.astype(float), file.getframerate()


def correlation_of_echo(samples: NDArray[np.float64], sample_rate: int) -> tuple[float, float]:
    """Look for the caller's sentence on the other side; return delay in seconds, correlation.

    Piece by piece, of which the middle one counts: a stall of a busy machine moves the rest.
    """
    found = [find_piece(samples, sample_rate, SPOKEN_AT + piece / 4) for piece in range(20)]
    delays, correlations = zip(*found, strict=True)
    return float(np.median(delays)), float(np.median(correlations))


def find_piece(samples: NDArray[np.float64], sample_rate: int, start: float) -> tuple[float, float]:
    """Look for a quarter of a second of the caller's voice."""
    first = round(start * sample_rate)
    said = samples[0, first : first + sample_rate // 4]
    heard = samples[1, first : first + 3 * sample_rate]
    products = np.correlate(heard, said, "valid")
    energies = np.convolve(heard**2, np.ones(said.size), "valid")
    likeness = products / np.sqrt(np.maximum(energies, 1) * (said @ said))
    return int(np.argmax(likeness)) / sample_rate, float(likeness.max())


VARIANTS: dict[str, tuple[str, ...]] = {
    "for people": (),
    "json": (
        "--json",
        *("--leg-encoding", "L16"),
        *("--send-encoding", "L16"),
        *("--byteorder", "big"),
    ),
}


async def test_demo_brings_the_sentence_back(tmp_path: Path) -> None:
    """The demo exits with 0, and its recording has the caller's sentence on both sides.

    With --json, standard output is nothing but what call.json holds.
    """
    results: dict[str, subprocess.CompletedProcess[bytes]] = {}

    async def demonstrate(name: str) -> None:
        results[name] = await run("demo", "--output", str(tmp_path / name), *VARIANTS[name])

    async with trio.open_nursery() as nursery:
        for name in VARIANTS:
            nursery.start_soon(demonstrate, name)
    for name, result in results.items():
        assert result.returncode == 0, (name, result.stdout, result.stderr)
        assert result.stderr == b"", (name, result.stderr)
        report = json.loads((tmp_path / name / "call.json").read_text())
        if name == "json":
            assert json.loads(result.stdout) == report
        else:
            for word in (b"the agent greets", b"pressed 5", b"hung up", b"added delay"):
                assert word in result.stdout, (name, result.stdout)
        samples, sample_rate = read_stereo(tmp_path / name / "call.wav")
        delay, correlation = correlation_of_echo(samples, sample_rate)
        assert correlation > 0.95, (name, correlation)
        assert 0 < delay < 2.5, (name, delay)
        assert report["digits"] == "5"
        assert report["lost"] == report["late"] == 0
        assert report["outcome"]["ended_by"] == "them"
        assert report["outcome"]["hangup_cause"] == "normal_clearing"
        assert 490 <= report["packets_received"] <= 510
        picture = (tmp_path / name / "call.png").read_bytes()
        assert picture.startswith(b"\x89PNG")


async def test_simulator_prints_settings_that_work() -> None:
    """What it prints leads to a REST API that takes the key; SIGTERM ends it cleanly."""
    command = [sys.executable, "-W", "error", "-m", "telnyx_trio", "simulator", "--port", "0"]
    async with trio.open_nursery() as nursery:
        process: trio.Process = await nursery.start(
            partial(trio.run_process, command, stdout=subprocess.PIPE, check=False)
        )
        assert process.stdout is not None
        printed = ""
        while "running" not in printed:
            data = await process.stdout.receive_some()
            assert data, printed
            printed += data.decode()
        lines = [line for line in printed.splitlines() if line.startswith("export ")]
        settings = dict(line.removeprefix("export ").split("=", 1) for line in lines)
        key = {"Authorization": f"Bearer {settings['TELNYX_API_KEY']}"}
        async with httpx.AsyncClient(base_url=settings["TELNYX_BASE_URL"], headers=key) as client:
            reply = await client.post(
                "/calls",
                json={
                    "to": "+15550003333",
                    "from": settings["TELNYX_PHONE_NUMBER"],
                    "connection_id": settings["TELNYX_CALL_CONTROL_APP_ID"],
                },
            )
            number = await client.get(f"/phone_numbers/{settings['TELNYX_PHONE_NUMBER_ID']}")
        assert reply.status_code == 200, reply.text
        assert number.json()["data"]["phone_number"] == settings["TELNYX_PHONE_NUMBER"]
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0


@pytest.mark.parametrize("arguments", [["--help"], ["demo", "--help"], ["simulator", "--help"]])
def test_help_teaches_by_example(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Each help text has examples and exits with 0."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 0
    assert "examples:\n  telnyx-trio " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "needless"),
    [
        ("['--help']", "trio numpy httpx hypercorn matplotlib telnyx_trio.testing"),
        ("['calls']", "numpy httpx hypercorn matplotlib telnyx_trio.testing"),
    ],
)
def test_only_what_a_command_needs_is_loaded(arguments: str, needless: str, tmp_path: Path) -> None:
    """Help is there at once, and so are the calls of a server."""
    program = f"""
import sys
from telnyx_trio._cli import main
try:
    main({arguments})
except SystemExit:
    print([name for name in {needless.split()} if name in sys.modules], file=sys.stderr)
"""
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        check=True,
        env={**os.environ, "TELNYX_TRIO_STATE_DIR": str(tmp_path)},
    )
    assert result.stderr.splitlines()[-1] == b"[]"


@pytest.mark.parametrize("arguments", [["dance"], ["simulator", "--port", "99999"]])
def test_wrong_usage_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What is wrong is named."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert arguments[-1] in capsys.readouterr().err


def test_an_occupied_port_is_told_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """No traceback when the simulator can't listen."""
    with pytest.raises(SystemExit) as caught:
        main(["simulator", "--host", "192.0.2.1", "--port", "1"])
    assert caught.value.code == 1
    assert capsys.readouterr().err.startswith("telnyx-trio: ")
