"""What the fields of an account's resources accept, and what they are by default."""

from __future__ import annotations

from typing import Final

from ._fields import Fields, choice, flag, group, number, rate, text, texts, url

APPLICATION_FIELDS: Final[Fields] = {
    "application_name": text(required=True),
    "webhook_event_url": url(required=True),
    "active": flag(True),
    "anchorsite_override": choice(
        "Latency",
        "Chicago, IL",
        "Ashburn, VA",
        "San Jose, CA",
        "London, UK",
        "Chennai, IN",
        "Amsterdam, Netherlands",
        "Toronto, Canada",
        "Sydney, Australia",
        default="Latency",
    ),
    "call_cost_in_webhooks": flag(False),
    "dtmf_type": choice("RFC 2833", "Inband", "SIP INFO", default="RFC 2833"),
    "first_command_timeout": flag(False),
    "first_command_timeout_secs": number(0, 3600, 30),
    "redact_dtmf_debug_logging": flag(False),
    "tags": texts(),
    "webhook_api_version": choice("1", "2", default="1"),
    "webhook_event_failover_url": url(),
    "webhook_timeout_secs": number(0, 30),
    "inbound": group(
        channel_limit=number(0, 10_000),
        shaken_stir_enabled=flag(False),
        sip_subdomain=text(None),
        sip_subdomain_receive_settings=choice(
            "only_my_connections", "from_anyone", default="from_anyone"
        ),
    ),
    "outbound": group(channel_limit=number(0, 10_000), outbound_voice_profile_id=text(None)),
}
"""Telnyx's SDK 4.189.0, types/call_control_application_create_params.py; the defaults are those of
its command line. Limits of numbers that Telnyx does not give are wide."""

PROFILE_FIELDS: Final[Fields] = {
    "name": text(required=True),
    "traffic_type": choice("conversational", default="conversational"),
    "service_plan": choice("global", default="global"),
    "usage_payment_method": choice("rate-deck", default="rate-deck"),
    "whitelisted_destinations": texts("US", "CA"),
    "concurrent_call_limit": number(0, 10_000),
    "enabled": flag(True),
    "daily_spend_limit": text(None),
    "daily_spend_limit_enabled": flag(False),
    "max_destination_rate": rate(),
    "tags": texts(),
    "billing_group_id": text(None),
}
"""The SDK's types/outbound_voice_profile_create_params.py, without recording and calling hours."""

NUMBER_FIELDS: Final[Fields] = {
    "connection_id": text(None),
    "customer_reference": text(None),
    "external_pin": text(None),
    "hd_voice_enabled": flag(False),
    "billing_group_id": text(None),
    "address_id": text(None),
    "tags": texts(),
}
"""The SDK's types/phone_number_update_params.py."""
