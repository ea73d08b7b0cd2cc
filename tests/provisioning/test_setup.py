"""A temporary set-up leaves the account as it was: after errors, cancellation and lost replies."""

from __future__ import annotations

import json
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from account_fake import (
    API_KEY,
    BASE_URL,
    EARLIER_CONNECTION_ID,
    OUR_NUMBER,
    OUR_NUMBER_ID,
    PROFILE_ID,
    Asked,
    FakeAccount,
    Fault,
)
from trio.testing import MockClock

from telnyx_trio import (
    CallControlError,
    SetupError,
    TelnyxError,
    TemporarySetup,
    UndoFailed,
    open_temporary_setup,
    undo_dead_runs,
)
from telnyx_trio.call_control import open_client
from telnyx_trio.provisioning import Journal

PUBLIC_URL = "https://voice.example"

REQUESTS = [
    "GET /outbound_voice_profiles",
    "GET /phone_numbers",
    f"GET /phone_numbers/{OUR_NUMBER_ID}",
    f"GET /call_control_applications/{EARLIER_CONNECTION_ID}",
    "POST /call_control_applications",
    f"PATCH /phone_numbers/{OUR_NUMBER_ID}",
    f"GET /phone_numbers/{OUR_NUMBER_ID}",
    f"PATCH /phone_numbers/{OUR_NUMBER_ID}",
    "GET /call_control_applications/ID",
    "DELETE /call_control_applications/ID",
]
"""All that one run asks for, in this order; the first six make it, the others take it back."""

N_MAKING = 6


@pytest.fixture
def quick_clock() -> MockClock:
    """A clock that jumps, but leaves the threads that write the journal their time to run."""
    return MockClock(autojump_threshold=0.001)


@pytest.fixture(autouse=True)
def synced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the files that were synced, in place of waiting for the disk."""
    synced: list[int] = []
    monkeypatch.setattr("telnyx_trio.provisioning._journal.os.fsync", synced.append)
    return synced


@asynccontextmanager
async def open_setup(
    account: FakeAccount, state_dir: Path, **changes: Any
) -> AsyncIterator[TemporarySetup]:
    arguments = {"public_url": PUBLIC_URL, "phone_number": OUR_NUMBER, **changes}
    async with (
        open_client(API_KEY, base_url=BASE_URL, transport=account.transport()) as client,
        open_temporary_setup(client, state_dir=state_dir, **arguments) as setup,
    ):
        yield setup


async def use(account: FakeAccount, state_dir: Path, **changes: Any) -> None:
    async with open_setup(account, state_dir, **changes) as setup:
        if changes.get("phone_number", OUR_NUMBER):
            assert account.routed_to == setup.connection_id
        await trio.lowlevel.checkpoint()


async def recover(account: FakeAccount, state_dir: Path, key: str = API_KEY) -> list[str]:
    """Undo what dead runs left; return what could not be undone."""
    async with open_client(key, base_url=BASE_URL, transport=account.transport()) as client:
        reports = await undo_dead_runs(client.account, state_dir=state_dir)
    return [sentence for report in reports for sentence in report.failed]


def journal_files(state_dir: Path) -> list[Path]:
    return sorted((state_dir / "setup").glob("*.json"))


async def test_what_it_makes_and_takes_back(tmp_path: Path) -> None:
    """An application with our webhook URL and a profile; the number led to it, then as before."""
    account = FakeAccount.furnished()
    before = account.state
    async with open_setup(account, tmp_path) as setup:
        made = account.applications[setup.connection_id]
        assert made["webhook_event_url"] == "https://voice.example/telnyx/events"
        assert made["webhook_api_version"] == "2"
        assert made["active"] is True
        assert made["outbound"] == {"outbound_voice_profile_id": PROFILE_ID}
        assert made["application_name"] == setup.application_name
        assert account.routed_to == setup.connection_id
        assert setup.phone_number == OUR_NUMBER
        assert setup.outbound_voice_profile.id == PROFILE_ID
    assert account.state == before
    assert journal_files(tmp_path) == []
    asked = [str(a).replace(setup.connection_id, "ID") for a in account.asked]
    assert asked == REQUESTS


async def test_number_without_a_connection_gets_none_again(tmp_path: Path) -> None:
    """Also by the number's id, and whichever way Telnyx takes a number off its connection."""
    for takes_empty in (True, False):
        account = FakeAccount.furnished(takes_empty_connection=takes_empty)
        account.numbers[OUR_NUMBER_ID]["connection_id"] = None
        before = account.state
        await use(account, tmp_path, phone_number=None, phone_number_id=OUR_NUMBER_ID)
        assert account.state == before


async def test_without_a_number_no_number_is_touched(tmp_path: Path) -> None:
    """To dial, an application is enough."""
    account = FakeAccount.furnished()
    before = account.state
    await use(account, tmp_path, phone_number=None)
    assert account.state == before
    assert not any("phone_numbers" in asked.path for asked in account.asked)


async def test_each_change_is_on_disk_before_it_is_made(tmp_path: Path, synced: list[int]) -> None:
    """File and folder are synced, and the record says what is about to be changed."""
    seen: list[tuple[str, bool, bool, int]] = []

    def watch(number: int, asked: Asked, moment: str) -> Fault | None:
        if moment == "before" and number <= N_MAKING and asked.method != "GET":
            (path,) = journal_files(tmp_path)
            record = json.loads(path.read_text())
            has_id, has_routing = bool(record["application_id"]), bool(record["routing"])
            seen.append((asked.method, has_id, has_routing, len(synced)))
        return None

    await use(FakeAccount.furnished(watch=watch), tmp_path)
    assert seen == [("POST", False, False, 2), ("PATCH", True, True, 4)]


async def test_journal_is_private_and_holds_no_secret(tmp_path: Path) -> None:
    """The folder is for the user alone; neither key nor the like stands in any file."""
    account = FakeAccount.furnished()
    async with open_setup(account, tmp_path):
        folder = tmp_path / "setup"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        for path in folder.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
            assert API_KEY not in path.read_text()
        (path,) = journal_files(tmp_path)
        record = json.loads(path.read_text())
        assert record["routing"]["previous_connection_id"] == EARLIER_CONNECTION_ID


@pytest.mark.parametrize(
    ("fault", "lasting"),
    [
        *((fault, False) for fault in Fault),
        (Fault.REFUSED, True),
        (Fault.LOST_BEFORE, True),
        (Fault.LOST_AFTER, True),
        (Fault.SILENT_AFTER, True),
    ],
)
@pytest.mark.parametrize("step", range(1, len(REQUESTS) + 1))
async def test_error_at_each_step(
    step: int, fault: Fault, lasting: bool, tmp_path: Path, quick_clock: MockClock
) -> None:
    """Once or for good: the account is as before, or what stays is told and can be undone later."""
    failing: list[tuple[int, Asked]] = []

    def watch(number: int, asked: Asked, moment: str) -> Fault | None:
        if number == step and not failing:
            failing.append((number, asked))
        same = failing and (asked == failing[0][1] if lasting else number == failing[0][0])
        return fault if same else None

    account = FakeAccount.furnished(watch=watch)
    before = account.state
    told: list[str] = []
    try:
        await use(account, tmp_path)
    except UndoFailed as error:
        told = list(error.problems)
    except (CallControlError, SetupError) as error:
        told = getattr(error, "__notes__", [])
    assert failing, "the fault did not come about"
    assert not any(app["active"] is False for app in account.applications.values())
    assert len(account.applications) <= 2
    if account.state != before:
        assert told
        assert journal_files(tmp_path)
    if told:
        assert "telnyx-trio setup undo" in " ".join(told)
    account.watch = None
    assert await recover(account, tmp_path) == []
    assert account.state == before
    assert journal_files(tmp_path) == []


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", range(1, N_MAKING + 1))
async def test_cancelled_while_a_request_is_under_way(
    step: int, moment: str, tmp_path: Path, quick_clock: MockClock
) -> None:
    """Whether it takes effect or not, and however long its reply takes."""
    account = FakeAccount.furnished()
    before = account.state
    for fault in (None, Fault.LOST_AFTER, Fault.SILENT_AFTER):
        account.asked.clear()
        with trio.CancelScope() as scope:

            def watch(
                number: int,
                asked: Asked,
                now: str,
                scope: trio.CancelScope = scope,
                fault: Fault | None = fault,
            ) -> Fault | None:
                if number == step and now == moment:
                    scope.cancel()
                    return fault
                return None

            account.watch = watch
            await use(account, tmp_path)
        assert scope.cancelled_caught
        assert account.state == before, fault
        assert journal_files(tmp_path) == []


class LateTransport(httpx.AsyncBaseTransport):
    """Carries a change out after 5 s, whether or not anybody waits for its reply by then."""

    def __init__(self, account: FakeAccount, nursery: trio.Nursery) -> None:
        self._inner = account.transport()
        self._nursery = nursery
        self.under_way = trio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return await self._inner.handle_async_request(request)
        replies: list[httpx.Response] = []
        is_done = trio.Event()

        async def carry_out() -> None:
            await trio.sleep(5)
            replies.append(await self._inner.handle_async_request(request))
            is_done.set()

        self._nursery.start_soon(carry_out)
        self.under_way.set()
        await is_done.wait()
        return replies[0]


async def test_cancelled_while_telnyx_takes_its_time(
    tmp_path: Path, quick_clock: MockClock
) -> None:
    """A change that takes effect long after the cancellation is put back all the same."""
    account = FakeAccount.furnished()
    before = account.state
    async with trio.open_nursery() as telnyx:
        transport = LateTransport(account, telnyx)
        async with (
            open_client(API_KEY, base_url=BASE_URL, transport=transport) as client,
            trio.open_nursery() as nursery,
        ):

            @nursery.start_soon
            async def cancel() -> None:
                await transport.under_way.wait()
                nursery.cancel_scope.cancel()

            async with open_temporary_setup(
                client, public_url=PUBLIC_URL, phone_number=OUR_NUMBER, state_dir=tmp_path
            ):
                await trio.sleep_forever()
    assert [asked.method for asked in account.asked if asked.method != "GET"] == ["POST", "DELETE"]
    assert account.state == before
    assert journal_files(tmp_path) == []


class CancelAtStep(trio.abc.Instrument):
    """Cancels at the k-th step of any task."""

    def __init__(self, step: int, cancel: Callable[[], None]) -> None:
        self.left = step
        self._cancel = cancel

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.left -= 1
        if self.left == 0:
            self._cancel()


async def test_cancelled_at_each_step_of_its_task(tmp_path: Path, quick_clock: MockClock) -> None:
    """At whichever of its checkpoints it is cancelled, nothing is left."""
    account = FakeAccount.furnished()
    before = account.state
    step = 0
    while True:
        step += 1
        with trio.CancelScope() as scope:
            instrument = CancelAtStep(step, scope.cancel)
            trio.lowlevel.add_instrument(instrument)
            try:
                await use(account, tmp_path)
            finally:
                trio.lowlevel.remove_instrument(instrument)
        assert account.state == before, step
        assert journal_files(tmp_path) == [], step
        if instrument.left > 0:
            break
    assert step > 30


async def test_error_of_the_body_leaves_as_itself(tmp_path: Path) -> None:
    """With a note of what could not be put back, if anything."""

    def refuse_deletion(number: int, asked: Asked, moment: str) -> Fault | None:
        return Fault.REFUSED if asked.method == "DELETE" else None

    account = FakeAccount.furnished()
    with pytest.raises(KeyError) as caught:
        async with open_setup(account, tmp_path):
            raise KeyError("mine")
    assert not hasattr(caught.value, "__notes__")
    account.watch = refuse_deletion
    with pytest.raises(KeyError) as caught:
        async with open_setup(account, tmp_path):
            raise KeyError("mine")
    assert "may still be there" in caught.value.__notes__[0]
    assert account.routed_to == EARLIER_CONNECTION_ID


async def test_number_that_somebody_else_routed_meanwhile_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is not overwritten; the application goes all the same, and it is told."""
    account = FakeAccount.furnished()
    account.applications["88"] = {"id": "88", "application_name": "new one"}
    async with open_setup(account, tmp_path):
        account.numbers[OUR_NUMBER_ID]["connection_id"] = "88"
    assert account.routed_to == "88"
    assert set(account.applications) == {EARLIER_CONNECTION_ID, "88"}
    assert "was routed to 88 by somebody else" in caplog.text
    assert journal_files(tmp_path) == []


async def test_application_that_was_renamed_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever gave it another name wants to keep it."""
    account = FakeAccount.furnished()
    async with open_setup(account, tmp_path) as setup:
        account.applications[setup.connection_id]["application_name"] = "for good"
    assert setup.connection_id in account.applications
    assert account.routed_to == EARLIER_CONNECTION_ID
    assert "is not called" in caplog.text


async def test_things_that_are_gone_already_are_no_failure(tmp_path: Path) -> None:
    """Somebody deleted the application, or gave the number away."""
    account = FakeAccount.furnished()
    async with open_setup(account, tmp_path) as setup:
        del account.applications[setup.connection_id]
        del account.numbers[OUR_NUMBER_ID]
    assert set(account.applications) == {EARLIER_CONNECTION_ID}
    assert journal_files(tmp_path) == []


async def test_number_whose_old_connection_is_gone(tmp_path: Path) -> None:
    """The application stays as long as the number leads to it, and it is told how to mend that."""
    account = FakeAccount.furnished()
    with pytest.raises(UndoFailed) as caught:
        async with open_setup(account, tmp_path) as setup:
            del account.applications[EARLIER_CONNECTION_ID]
    assert account.routed_to == setup.connection_id
    assert setup.connection_id in account.applications
    routing, application = caught.value.problems
    for text in (OUR_NUMBER, EARLIER_CONNECTION_ID, "By hand", "telnyx-trio setup undo"):
        assert text in routing
    assert setup.application_name in application
    # By hand, as told; then the rest goes by itself.
    account.numbers[OUR_NUMBER_ID]["connection_id"] = None
    assert await recover(account, tmp_path) == []
    assert account.applications == {}


async def test_telnyx_that_stays_silent_in_the_end(tmp_path: Path, quick_clock: MockClock) -> None:
    """Taking back ends after 20 s, with what may stay; the next run takes it back."""

    def silent(number: int, asked: Asked, moment: str) -> Fault | None:
        return Fault.SILENT_BEFORE if number > N_MAKING else None

    account = FakeAccount.furnished(watch=silent)
    before = account.state
    began = trio.current_time()
    with pytest.raises(UndoFailed, match="more than 20 s"):
        await use(account, tmp_path)
    assert trio.current_time() - began == pytest.approx(20)
    assert account.state != before
    account.watch = None
    account.asked.clear()
    await use(account, tmp_path)
    assert account.state == before
    assert journal_files(tmp_path) == []


async def test_two_runs_on_one_number(tmp_path: Path) -> None:
    """The second says so and changes nothing; the first goes on. Then it may."""
    account = FakeAccount.furnished()
    before = account.state
    async with open_setup(account, tmp_path):
        during = account.state
        with pytest.raises(SetupError, match=r"another run on this machine \(process \d+\)"):
            await use(account, tmp_path)
        assert account.state == during
        assert len(journal_files(tmp_path)) == 1
    await use(account, tmp_path)
    assert account.state == before


async def test_run_on_another_machine(tmp_path: Path) -> None:
    """Its application is known by its name, though its journal is elsewhere."""
    account = FakeAccount.furnished()
    before = account.state
    async with open_setup(account, tmp_path / "there") as there:
        during = account.state
        with pytest.raises(SetupError, match="another machine") as caught:
            await use(account, tmp_path / "here")
        assert there.application_name in str(caught.value)
        assert account.state == during
        assert journal_files(tmp_path / "here") == []
    assert account.state == before


async def test_two_runs_on_two_numbers(tmp_path: Path) -> None:
    """Runs that share no number do not hinder each other, and neither undoes the other."""
    account = FakeAccount.furnished()
    account.numbers["2"] = {"id": "2", "phone_number": "+15550100008", "connection_id": None}
    before = account.state
    async with open_setup(account, tmp_path) as first:
        async with open_setup(account, tmp_path, phone_number="+15550100008") as second:
            assert account.numbers["2"]["connection_id"] == second.connection_id
        assert account.routed_to == first.connection_id
    assert account.state == before


@pytest.mark.parametrize(
    ("change", "wanted", "problem"),
    [
        (lambda a: a.profiles.clear(), None, "make one in the portal"),
        (lambda a: a.profiles[PROFILE_ID].update(enabled=False), None, "or enable Default"),
        (lambda a: a.profiles[PROFILE_ID].update(enabled=False), "Default", "is disabled"),
        (
            lambda a: a.profiles.update({"2": {"id": "2", "name": "Sales", "enabled": True}}),
            None,
            r"Default \(\d+\), Sales \(2\); choose one .*--outbound-voice-profile",
        ),
        (
            lambda a: a.profiles.update({"2": {"id": "2", "name": "default", "enabled": True}}),
            "Default",
            "several",
        ),
        (lambda a: None, "Sales", r"no outbound voice profile 'Sales'; .* Default \(\d+\)"),
    ],
)
async def test_profile_that_is_not_clear(
    change: Callable[[FakeAccount], object], wanted: str | None, problem: str, tmp_path: Path
) -> None:
    """What there is, and how to choose; nothing is changed."""
    account = FakeAccount.furnished()
    change(account)
    before = account.state
    with pytest.raises(SetupError, match=problem):
        await use(account, tmp_path, outbound_voice_profile=wanted)
    assert account.state == before


@pytest.mark.parametrize("wanted", ["2", "Sales", "sales"])
async def test_profile_by_id_or_name(wanted: str, tmp_path: Path) -> None:
    """Of several, the one that is asked for; disabled ones are no choice without asking."""
    account = FakeAccount.furnished()
    account.profiles["2"] = {"id": "2", "name": "Sales", "enabled": True}
    async with open_setup(account, tmp_path, outbound_voice_profile=wanted) as setup:
        assert setup.outbound_voice_profile.id == "2"
    account.profiles["2"]["enabled"] = False
    async with open_setup(account, tmp_path) as setup:
        assert setup.outbound_voice_profile.id == PROFILE_ID


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"phone_number": "+15550107777"}, r"no number \+15550107777"),
        ({"phone_number": None, "phone_number_id": "7"}, "no number 7"),
        ({"phone_number": "+15550107777", "phone_number_id": OUR_NUMBER_ID}, "is of"),
        ({"phone_number": "5550107777"}, r"E\.164"),
    ],
)
async def test_number_that_is_not_ours(
    arguments: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    """It is told before anything is changed."""
    account = FakeAccount.furnished()
    before = account.state
    with pytest.raises(TelnyxError, match=problem):
        await use(account, tmp_path, **arguments)
    assert account.state == before
    assert journal_files(tmp_path) == []


async def test_state_folder_that_cannot_be_had(tmp_path: Path) -> None:
    """Without a journal nothing is changed."""
    (tmp_path / "file").write_text("in the way")
    account = FakeAccount.furnished()
    with pytest.raises(SetupError, match="undo journal"):
        await use(account, tmp_path / "file")
    assert account.asked == []


async def test_journal_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk, found when the application is there already, leaves no application."""
    account = FakeAccount.furnished()
    before = account.state

    def full(descriptor: int) -> None:
        if len(account.applications) > 1:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("telnyx_trio.provisioning._journal.os.fsync", full)
    with pytest.raises(SetupError, match="No space left"):
        await use(account, tmp_path)
    assert account.state == before


async def test_damaged_journal_files_are_told_and_kept(tmp_path: Path) -> None:
    """Whatever stands in them, a run starts, and the file stays until a person has looked."""
    account = FakeAccount.furnished()
    contents = [b"", b"{", b"\xff\x00", b"[]", b'{"version": 2}', b"[" * 100_000]
    folder = Journal(tmp_path).folder
    for number, content in enumerate(contents):
        (folder / f"20260401T10000{number}Z-0000000{number}.json").write_bytes(content)
    await use(account, tmp_path)
    problems = await recover(account, tmp_path)
    assert len(problems) == len(contents)
    for number, problem in enumerate(problems):
        assert f"20260401T10000{number}Z-0000000{number}.json can't be read" in problem
        assert f"telnyx-trio-temporary-20260401T10000{number}Z" in problem
    assert len(journal_files(tmp_path)) == len(contents)


async def test_record_under_another_name_is_not_believed(tmp_path: Path) -> None:
    """A copied file does not delete another run's application."""
    account = FakeAccount.furnished()
    async with open_setup(account, tmp_path) as setup:
        (path,) = journal_files(tmp_path)
        path.with_name("20260401T100000Z-00000000.json").write_bytes(path.read_bytes())
        problems = await recover(account, tmp_path)
        assert "not that of its run" in problems[0]
        assert setup.connection_id in account.applications


async def test_what_belongs_to_another_key_is_kept(tmp_path: Path) -> None:
    """It is not looked for in an account where it is not, and then forgotten."""
    account = FakeAccount.furnished()
    async with open_setup(account, tmp_path):
        (path,) = journal_files(tmp_path)
        content = path.read_bytes()
    path.write_bytes(content)
    asked = len(account.asked)
    assert await recover(account, tmp_path, key="KEY-another") == []
    assert path.read_bytes() == content
    assert len(account.asked) == asked
    assert await recover(account, tmp_path) == []
    assert not path.exists()


async def test_drafts_and_locks_of_runs_that_never_began_are_removed(tmp_path: Path) -> None:
    """A run that died before its first change leaves nothing to undo, and no litter."""
    folder = Journal(tmp_path).folder
    for suffix in (".lock", ".json.tmp"):
        (folder / f"20260401T100000Z-00000000{suffix}").write_bytes(b"{")
    assert Journal(tmp_path).entries() == []
    assert list(folder.iterdir()) == []
