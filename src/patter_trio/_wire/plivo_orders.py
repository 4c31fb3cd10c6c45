"""What is asked of Plivo, as JSON: calls, transfers, recordings and applications."""

from __future__ import annotations

import re
from typing import Any

from ..errors import PatterConfigError
from ..telephony import CallOrder, Links, TransferOrder
from .plivo_ids import check_id, named, without_plus

__all__ = ["call_order", "leg_order", "recording_order", "transfer_order"]

_DIGITS = re.compile(r"[0-9A-D*#wW]{0,64}")
_RING_SECONDS = range(5, 601)
_LONGEST_CALL = 86_400
# Milliseconds. Only machines are reported, so whoever waits for a verdict waits for this and a little more.
_DETECTION_MS = 5000
# Seconds; the default of a minute would cut a recording short, and a call has four hours.
_LONGEST_RECORDING = 14_400

Order = dict[str, Any]


def call_order(order: CallOrder) -> Order:
    """The call that ``order`` asks for; its stream is opened by the answer to ``answer_url``.

    Raises:
        PatterConfigError: a value that Plivo would refuse.
    """
    links = order.stream.links
    asked = _call(order.caller_id, order.to, links.webhook("answer"), order.ring_seconds)
    asked |= {
        "hangup_url": links.webhook("status"),
        "hangup_method": "POST",
        "ring_url": links.webhook("status"),
        "ring_method": "POST",
    }
    if order.max_seconds is not None:
        if not 0 < order.max_seconds <= _LONGEST_CALL:
            raise PatterConfigError(
                f"a call cannot be limited to {order.max_seconds!r} seconds", hint=f"1 to {_LONGEST_CALL}"
            )
        asked["time_limit"] = order.max_seconds
    if not _DIGITS.fullmatch(order.send_digits):
        raise PatterConfigError(
            f"{order.send_digits[:40]!r} cannot be pressed", hint="digits, * and #, A to D, w and W"
        )
    if order.send_digits:
        asked["send_digits"] = order.send_digits
    if order.machine_detection:
        asked |= {
            "machine_detection": "true",
            "machine_detection_time": _DETECTION_MS,
            "machine_detection_url": links.webhook("machine"),
            "machine_detection_method": "POST",
        }
    return asked


def leg_order(call_id: str, order: TransferOrder, caller_id: str, document_url: str) -> Order:
    """The call to the human of a warm transfer, who follows the document at ``document_url``.

    Raises:
        PatterConfigError: a value that Plivo would refuse.
    """
    asked = _call(order.caller_id or caller_id, order.number, document_url, order.ring_seconds)
    asked["hangup_url"] = f"{order.links.webhook('leg')}&of={check_id(call_id)}"
    asked["hangup_method"] = "POST"
    return asked


def transfer_order(document_url: str) -> Order:
    """Has a call follow the document at ``document_url``."""
    return {"legs": "aleg", "aleg_url": document_url, "aleg_method": "POST"}


def recording_order(links: Links) -> Order:
    """A recording of both sides, each on a channel of its own, that is told of when it is there."""
    return {
        "time_limit": _LONGEST_RECORDING,
        "file_format": "wav",
        "record_channel_type": "stereo",
        "callback_url": links.webhook("recording"),
        "callback_method": "POST",
    }


def _call(caller_id: str, to: str, answer_url: str, ring_seconds: int) -> Order:
    if ring_seconds not in _RING_SECONDS:
        raise PatterConfigError(f"a number cannot ring for {ring_seconds!r} seconds", hint="5 to 600")
    asked = {"from": without_plus(caller_id), "to": named(to)}
    if asked["from"] == asked["to"]:
        raise PatterConfigError("a number cannot call itself", hint="another caller_id")
    return asked | {"answer_url": answer_url, "answer_method": "POST", "ring_timeout": ring_seconds}
