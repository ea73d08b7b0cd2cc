"""``telnyx-trio call``, run against a server as a user runs it."""

from __future__ import annotations

import json
import os
import shlex
import signal
import stat
import wave
from argparse import ArgumentTypeError
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trio
from forked_programs import Program, open_program
from ports import reserved_port

from telnyx_trio import Call, CallServer, PcmData, ServerConfig, serve_calls
from telnyx_trio._cli import main
from telnyx_trio._cli._call import parse_digits
from telnyx_trio._cli._call_key import read_signing_key
from telnyx_trio._cli._echo import find_echo
from telnyx_trio._cli._load_figures import CallResult, summarise
from telnyx_trio._cli._progress import show_progress
from telnyx_trio.testing import CALLER_WAV, GREETING_WAV, read_wav

OTHER_KEY = "exatCRz0h5yCEKF9VDEsRrKKC1Zr3FiYzuRFrhUkFCo="


class Bench:
    """The command in a process of its own, with a free port and a state folder.

    Args:
        folder: for the state.
        port: for its carrier.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self.port = port
        self.environment = {**os.environ, "TELNYX_TRIO_STATE_DIR": str(folder)}
        status, printed, _ = trio.run(self.run, "--print-environment")
        assert status == 0
        words = [shlex.split(line) for line in printed.splitlines()]
        assert all(word[0] == "export" and len(word) == 2 for word in words)
        settings = dict(word[1].split("=", 1) for word in words)
        # A free port for the server, whose own address is then the public one.
        self.config = replace(ServerConfig.from_environment(settings), port=0, public_url=None)

    def open(self, *arguments: str) -> AbstractAsyncContextManager[Program]:
        """Run it beside a block."""
        return open_program(
            *("telnyx_trio", "call", "--port", str(self.port), *arguments),
            environment=self.environment,
        )

    async def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run it to its end; return exit status, standard output and standard error."""
        async with self.open(*arguments) as program:
            status = await program.wait()
            return status, program.stdout.decode(), program.stderr.decode()


async def echo(call: Call) -> None:
    async for pcm in call.received:
        await call.send(pcm)


@asynccontextmanager
async def open_echo_server(config: ServerConfig) -> AsyncIterator[tuple[CallServer, str]]:
    async with trio.open_nursery() as nursery:
        server: CallServer = await nursery.start(serve_calls, echo, config)
        assert server.url is not None
        yield server, server.url
        nursery.cancel_scope.cancel()


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with reserved_port() as port:
        yield Bench(tmp_path_factory.mktemp("state"), port)


@pytest.fixture
def sentence(tmp_path: Path) -> Path:
    """A second of speech."""
    samples, sample_rate = read_wav(CALLER_WAV)
    voice = PcmData(sample_rate=sample_rate, format="s16", samples=samples[:sample_rate])
    voice.write_wav(tmp_path / "sentence.wav")
    return tmp_path / "sentence.wav"


async def test_calls_are_placed_measured_and_recorded(
    bench: Bench, sentence: Path, tmp_path: Path
) -> None:
    """Each call is answered, echoed, counted and written; keys arrive; the status is 0."""
    output = tmp_path / "calls"
    arguments = ["--say", str(sentence), "--send-dtmf", "1w#", "--count", "3", "--concurrency", "2"]
    arguments += ["--duration", "1.5"]
    async with open_echo_server(bench.config) as (server, url):
        status, out, err = await bench.run(
            "--url", url, *arguments, "--output", str(output), "--json"
        )
        assert server.statistics().inbound_calls == 3
        await server.stop()
        assert server.statistics().failed_calls == 0
    assert (status, err) == (0, "")
    summary = json.loads(out)
    assert (summary["calls"], summary["failed"], summary["interrupted"]) == (3, 0, False)
    assert summary["heard_nothing"] == summary["lost"] == 0
    assert sorted(path.name for path in output.iterdir()) == [
        f"call-{number:04}.wav" for number in (1, 2, 3)
    ]
    for result in summary["results"]:
        assert 1.4 < result["duration"] < 4
        assert 0 < result["answer_delay"] < 5
        assert 65 <= result["packets_sent"] <= 100
        samples, sample_rate = _stereo(output / f"call-{result['number']:04}.wav")
        assert sample_rate == 8000
        assert np.abs(samples[0].astype(int)).max() > 1000
        assert np.abs(samples[1].astype(int)).max() > 1000


async def test_table_and_progress_for_people(bench: Bench, sentence: Path, tmp_path: Path) -> None:
    """Plain output has the progress, the percentiles and the counts; one call fits one file."""
    async with open_echo_server(bench.config) as (_, url):
        arguments = ["--url", url, "--say", str(sentence), "--leg-encoding", "PCMA"]
        output = tmp_path / "answer.wav"
        status, out, err = await bench.run(*arguments, "--output", str(output), "--duration", "0.5")
    assert (status, err) == (0, "")
    for words in ("0 of 1 calls done", "p99", "time to answer", "added delay", "1, 0 failed"):
        assert words in out, out
    samples, sample_rate = _stereo(output)
    assert samples.shape[1] / sample_rate == pytest.approx(0.5, abs=0.4)


async def test_refused_webhooks_are_told_with_what_to_do(bench: Bench) -> None:
    """A server that trusts another key refuses; the cause and the lines to type are shown."""
    config = replace(bench.config, public_key=OTHER_KEY)
    async with open_echo_server(config) as (_, url):
        status, out, err = await bench.run("--url", url, "--answer-timeout", "0.6", "--json")
    assert status == 1
    assert json.loads(out)["failures"] == {"the webhook was refused (HTTP 403)": 1}
    assert f"call --print-environment --url {shlex.quote(url)}" in err
    assert "telnyx-trio serve MODULE:HANDLER --skip-checks --port" in err


def test_nobody_there_is_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a server nothing is called, and the lines to type are shown."""
    monkeypatch.setenv("TELNYX_TRIO_STATE_DIR", str(tmp_path))
    with reserved_port() as port, pytest.raises(SystemExit) as caught:
        main(["call", "--url", f"http://127.0.0.1:{port}"])
    assert caught.value.code == 2
    printed = capsys.readouterr().err
    assert "nobody answers at" in printed
    assert 'eval "$(telnyx-trio call --print-environment --url' in printed


async def test_interrupt_ends_the_calls_and_shows_the_table(bench: Bench) -> None:
    """SIGINT hangs up on what runs, places no more, and shows figures; the status is 130."""
    arguments = ["--count", "9", "--concurrency", "2", "--duration", "60"]
    async with open_echo_server(bench.config) as (server, url):
        async with bench.open("--url", url, *arguments) as program:
            await program.wait_printed(b"2 running")
            while server.statistics().live_calls < 2:  # noqa: ASYNC110 - seen from outside
                await trio.sleep(0.01)
            program.send_signal(signal.SIGINT)
            assert await program.wait() == 130
            assert b"2, 0 failed" in program.stdout
        assert server.statistics().inbound_calls == 2
        with trio.fail_after(10):
            await server.stop()
        assert server.statistics().failed_calls == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--url", "here"], "--url here is no address"),
        (["--say", "missing.wav"], "--say missing.wav can't be read"),
        (["--count", "2", "--output", "a.wav"], "give a folder for several calls"),
        (["--count", "0"], "at least 1"),
        (["--send-dtmf", "1x"], "not 'x'"),
    ],
)
def test_wrong_usage(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is wrong is named, with status 2."""
    with pytest.raises(SystemExit) as caught:
        main(["call", *arguments])
    assert caught.value.code == 2
    assert words in capsys.readouterr().err


def test_digits_have_their_times() -> None:
    """A pause moves what follows."""
    assert parse_digits("1wW#") == ((0.5, "1"), (2.25, "#"))
    with pytest.raises(ArgumentTypeError):
        parse_digits("?")


def test_signing_key_stays_and_is_nobody_elses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drawn once, of mode 0600; another state folder has another one."""
    monkeypatch.setenv("TELNYX_TRIO_STATE_DIR", str(tmp_path / "one"))
    key = read_signing_key()
    assert len(key) == 32
    assert read_signing_key() == key
    (path,) = (tmp_path / "one" / "call").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    monkeypatch.setenv("TELNYX_TRIO_STATE_DIR", str(tmp_path / "two"))
    assert read_signing_key() != key


def test_echo_is_told_from_another_sentence() -> None:
    """The delay of an echo is found to a sample; another sentence of the voice is none."""
    said, sample_rate = read_wav(CALLER_WAV)
    heard = np.zeros_like(said)
    heard[5000:] = said[:-5000] // 2
    delay, correlation = find_echo(np.stack([said, heard]), sample_rate, start=0.5, duration=4)
    assert (delay, round(correlation, 3)) == (5000 / sample_rate, 1.0)
    other = np.zeros_like(said)
    greeting = read_wav(GREETING_WAV)[0]
    other[: greeting.size] = greeting
    assert find_echo(np.stack([said, other]), sample_rate, start=0.0, duration=4)[1] < 0.2
    assert find_echo(np.stack([said, heard]), sample_rate, start=0.0, duration=60) == (0.0, 0.0)


def test_figures_of_many_calls() -> None:
    """Percentiles leave out what was not measured; failures are counted by cause."""
    result = CallResult(
        number=1,
        failure=None,
        ended_by="caller",
        hangup_cause="normal_clearing",
        answer_delay=0.1,
        audio_delay=None,
        echo_delay=None,
        correlation=0.0,
        duration=1.0,
        packets_sent=50,
        packets_heard=49,
        lost=1,
        late=2,
        gaps=3,
    )
    failed = replace(result, number=2, failure="no media", answer_delay=None)
    slow = replace(result, number=3, answer_delay=0.3)
    summary = summarise([result, failed, slow], duration=2.0)
    assert summary["time_to_answer_ms"] == pytest.approx(
        {"p50": 200, "p90": 280, "p99": 298, "p100": 300}
    )
    assert summary["time_to_first_audio_ms"] is None
    assert summary["failures"] == {"no media": 1}
    assert (summary["heard_nothing"], summary["lost"], summary["gaps"]) == (2, 3, 9)


async def test_progress_in_a_log_is_a_line_a_change(
    capsys: pytest.CaptureFixture[str], autojump_clock: trio.testing.MockClock
) -> None:
    """What does not change is not said again."""
    steps = iter(["one", "one", "two", "two", "two"])
    async with show_progress(lambda: next(steps)):
        await trio.sleep(4.5)
    assert capsys.readouterr().out == "one\ntwo\n"


def _stereo(path: Path) -> tuple[Any, int]:
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth()) == (2, 2)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return samples.reshape(-1, 2).T, file.getframerate()
