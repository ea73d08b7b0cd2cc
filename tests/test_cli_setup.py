"""``telnyx-trio setup``: check, undo and show, against the simulator's account."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from telnyx_trio import UndoFailed, open_client, open_temporary_setup
from telnyx_trio._cli import main
from telnyx_trio.testing import Carrier, open_carrier

OUR_NUMBER = "+15550001111"
PUBLIC_URL = "https://voice.example"


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TELNYX_CALL_CONTROL_APP_ID", "TELNYX_PHONE_NUMBER", "TELNYX_PHONE_NUMBER_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TELNYX_TRIO_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "300")


@asynccontextmanager
async def open_account(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Carrier]:
    """A carrier over sockets, to which the environment leads."""
    async with open_carrier() as carrier:
        carrier.webhook_url = f"{PUBLIC_URL}/telnyx/events"
        monkeypatch.setenv("TELNYX_API_KEY", carrier.api_key)
        monkeypatch.setenv("TELNYX_BASE_URL", carrier.base_url)
        yield carrier


async def run(*arguments: str) -> int:
    """Run the command as the shell does, beside the carrier; returns its exit status."""

    def run_here() -> int:
        with pytest.raises(SystemExit) as caught:
            main(["setup", *arguments])
        assert isinstance(caught.value.code, int)
        return caught.value.code

    return await trio.to_thread.run_sync(run_here)


async def leave_a_setup(carrier: Carrier) -> str:
    """Leave what a run leaves that could not undo; returns the id of its application."""
    async with open_client(carrier.api_key, base_url=carrier.base_url) as client:
        with pytest.raises(UndoFailed):
            async with open_temporary_setup(
                client, public_url=PUBLIC_URL, phone_number=OUR_NUMBER
            ) as setup:
                path = f"/call_control_applications/{setup.connection_id}"
                carrier.faults.fail(path, status=403, method="DELETE")
    return setup.connection_id


async def test_check(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 0 and a row for each finding; status 1 and what mends it once something is wrong."""
    async with open_account(monkeypatch) as carrier:
        number = carrier.account.add_number(OUR_NUMBER, connection_id=carrier.connection_id)
        monkeypatch.setenv("TELNYX_CALL_CONTROL_APP_ID", carrier.connection_id)
        arguments = ("check", "--public-url", PUBLIC_URL, "--phone-number", OUR_NUMBER)
        assert await run(*arguments) == 0
        printed = capsys.readouterr().out
        assert "FAIL" not in printed
        assert f"{PUBLIC_URL}/telnyx/events" in printed
        number["connection_id"] = None
        assert await run(*arguments, "--to", "+15550002222") == 1
        printed = capsys.readouterr().out
        assert printed.count("FAIL") == 2
        for text in ("to no connection", "--setup-telnyx", "not verified"):
            assert text in printed
        assert await run(*arguments, "--to", "+1", "--skip-verified-destination-check") == 1
        assert capsys.readouterr().out.count("FAIL") == 1


async def test_undo_and_show(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A dead set-up is shown and put back; a running one is shown and left alone."""
    async with open_account(monkeypatch) as carrier:
        number = carrier.account.add_number(OUR_NUMBER)
        assert await run("show") == 0
        assert "0 temporary set-ups" in capsys.readouterr().out
        assert await run("undo") == 0
        assert "nothing to put back" in capsys.readouterr().out
        left = await leave_a_setup(carrier)
        assert await run("show") == 0
        printed = capsys.readouterr().out
        for text in (left, "dead; telnyx-trio setup undo", OUR_NUMBER, "no connection"):
            assert text in printed
        async with (
            open_client(carrier.api_key, base_url=carrier.base_url) as client,
            open_temporary_setup(client, public_url=PUBLIC_URL, phone_number=OUR_NUMBER) as live,
        ):
            # Its start has undone the dead one already.
            assert left not in carrier.account.applications
            assert await run("show") == 0
            assert "running" in capsys.readouterr().out
            assert await run("undo") == 0
            assert number["connection_id"] == live.connection_id
        left = await leave_a_setup(carrier)
        assert await run("undo") == 0
        assert "put back: the application" in capsys.readouterr().out
        assert set(carrier.account.applications) == {carrier.connection_id}
        (tmp_path / "setup" / "20260401T100000Z-00000000.json").write_text("{")
        assert await run("undo") == 1
        assert "not put back" in capsys.readouterr().out
        assert await run("show") == 0
        assert "can't be read" in capsys.readouterr().out


async def test_another_key_and_no_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What belongs to another key remains, and is told; without a key the setting is named."""
    async with open_account(monkeypatch) as carrier:
        carrier.account.add_number(OUR_NUMBER)
        await leave_a_setup(carrier)
        monkeypatch.setenv("TELNYX_API_KEY", "KEY-another")
        assert await run("undo") == 1
        printed = capsys.readouterr().out
        assert "another API key" in printed
        assert "1 of 1 remain" in printed
        monkeypatch.delenv("TELNYX_API_KEY")
        assert await run("undo") == 2
        assert "TELNYX_API_KEY" in capsys.readouterr().err
