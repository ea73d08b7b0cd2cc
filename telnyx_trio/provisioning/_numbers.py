"""A number of the account, by itself or by its id."""

from __future__ import annotations

from .._errors import ResourceNotFound
from ..call_control import AccountClient, PhoneNumber


async def find_number(
    account: AccountClient, phone_number: str | None, phone_number_id: str | None
) -> PhoneNumber | None:
    """Look a number up, by its id if that is known; None if the account has it not.

    Raises:
        LocalProtocolError: the number is not in E.164 form.
        CallControlError: Telnyx can't be asked.
    """
    if phone_number_id:
        try:
            return await account.get_phone_number(phone_number_id)
        except ResourceNotFound:
            return None
    return await account.find_phone_number(phone_number or "")
