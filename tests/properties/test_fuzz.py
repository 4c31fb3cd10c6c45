"""Nothing that is said on a media stream or by a webhook touches anybody else.

``PATTER_FUZZ=100000`` says so many to each carrier (``nox -s fuzz``), the ordinary run some thousand.
"""

from __future__ import annotations

import os
import re
from random import Random
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patter_trio import Twilio
from patter_trio._wire import twilio_far
from patter_trio._wire.signatures import sign_twilio
from patter_trio.testing import Caller, CallOutcome, MemoryLine

from ..calls.ring import ACCOUNT, NUMBER, TOKEN, URL, twilio
from .fuzzing import Stranger, fuzz, said_by, some_text

MESSAGES = int(os.environ.get("PATTER_FUZZ", "6000"))
# Of one stranger; three of them call at once.
SIZE = 200
TOGETHER = 3

FORM = "application/x-www-form-urlencoded"


def sid(number: int) -> str:
    return f"CA{number:032x}"


def signed_form(url: str, body: bytes) -> dict[str, str]:
    try:
        pairs = tuple(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    except ValueError:
        pairs = ()
    return {"Content-Type": FORM, "X-Twilio-Signature": sign_twilio(TOKEN, url, pairs)}


def offer_twilio(number: int) -> tuple[str, dict[str, str], bytes]:
    url = f"{URL}/webhooks/twilio/voice"
    fields = {"CallSid": sid(number), "AccountSid": ACCOUNT, "From": "+15550000000", "To": NUMBER}
    body = urlencode(fields).encode()
    return url, signed_form(url, body), body


def stream_of(body: bytes) -> str:
    found = re.search(rb'url="([^"]+)"', body)
    assert found is not None
    return found[1].decode()


async def call_twilio(line: MemoryLine, caller: Caller) -> CallOutcome:
    return await twilio().call(line, caller)


def form_of(random: Random) -> bytes:
    names = [
        *("CallSid", "AccountSid", "From", "To", "CallStatus", "Direction", "AnsweredBy", "StreamEvent"),
        *("RecordingSid", "RecordingUrl", "RecordingStatus", "DialCallStatus", "CallDuration"),
    ]
    values = [
        *(sid(1), sid(99), ACCOUNT, "busy", "completed", "machine_end_beep", "human", "fax", "no-answer"),
        *("ringing", "in-progress", "outbound-api", "1e999", "-1", "", "https://evil.example.test/x"),
    ]
    fields = {"CallSid": sid(1), "AccountSid": ACCOUNT}
    for _ in range(random.randrange(9)):
        name = random.choice(names) if random.random() < 0.9 else some_text(random)
        fields[name] = random.choice(values) if random.random() < 0.8 else some_text(random)
    if random.random() < 0.1:
        return some_text(random, 80).encode("utf-8", "replace")
    return urlencode(fields, errors="replace").encode()


TWILIO = Stranger(
    carrier=Twilio(account_sid=ACCOUNT, auth_token=TOKEN),
    bystander=call_twilio,
    offer=offer_twilio,
    stream_of=stream_of,
    headers_of=lambda url: {"X-Twilio-Signature": sign_twilio(TOKEN, url)},
    opening=lambda number: tuple(
        twilio_far.FarStream(f"MZ{number:032x}", call_sid=sid(number), account_sid=ACCOUNT).opening({})
    ),
    sign=signed_form,
    webhooks=("voice", "answer", "status", "machine", "recording", "transfer", "leg", "stream", "document"),
    # A stop would end the stream, and what is said after it reaches nobody.
    events=("connected", "start", "media", "dtmf", "mark", "clear", "new"),
    keys=(
        *("payload", "timestamp", "track", "name", "digit", "streamSid", "callSid", "mediaFormat", "chunk"),
        *("customParameters", "encoding", "sampleRate", "channels", "sequenceNumber"),
    ),
    values=(f"MZ{1:032x}", sid(1), "//8=", "5", "inbound", "1:1", "9" * 400, "#", -1),
    body=form_of,
)


@pytest.mark.parametrize("stranger", [pytest.param(TWILIO, id="twilio")])
def test_strangers_touch_nobody(stranger: Stranger) -> None:
    @settings(max_examples=max(1, MESSAGES // (SIZE * TOGETHER)), deadline=None)
    @given(st.integers(0, 1 << 64))
    def play(seed: int) -> None:
        random = Random(seed)
        fuzzed = fuzz(stranger, [said_by(stranger, random, SIZE) for _ in range(TOGETHER)])
        assert fuzzed.outcome.ok, fuzzed.outcome.steps
        assert not fuzzed.outcome.violations
        assert fuzzed.outcome.heard == "Hello, this is the desk. Yes, of course."
        assert fuzzed.tasks_left == fuzzed.lines_left == 0
        assert set(fuzzed.statuses) <= {200, 204, 400, 404}
        assert "error" not in fuzzed.reasons

    play()
