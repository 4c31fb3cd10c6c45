"""Tools to test an agent without a telephone: a simulated carrier, a scripted caller, scripted providers.

The same script runs in virtual time against an ASGI app (:class:`MemoryLine`, :func:`run_virtual`) and in
real time over sockets (:class:`LoopbackLine`)::

    from patter_trio.testing import Caller, LineConditions, MemoryLine, SimulatedTwilio, run_virtual

    script = Caller().waits_for_agent().says("Are you open on Sunday?").waits_for_agent().hangs_up()

    async def main():
        async with patter.session(agent, port=None) as session:
            line = MemoryLine(session.app)
            return await SimulatedTwilio(auth_token="…").call(line, script, conditions=LineConditions(seed=7))

    outcome = run_virtual(main, seed=7)
    assert outcome.ok and outcome.frames_after_clear == 0
    assert outcome.replies[0].seconds < 1.0
    outcome.ear.write_wav("call.wav")

:mod:`patter_trio.testing.checks` holds conformance checks for your own providers.
"""

from .account import RestCall, TwilioAccount
from .caller import Caller, CallerVoice
from .carrier import SimulatedTwilio
from .conditions import LineConditions, MarksAtClear
from .detection import MachineDetection
from .ear import Ear, Span
from .exchange import Exchange, Skin, Vendor, open_exchange
from .farwire import FarWire
from .legs import Leg
from .line import Line, MemoryLine, UpgradeRefusedError
from .loopback import LoopbackLine
from .outcome import BargeInLatency, CallOutcome, LogEntry, ReplyLatency, StepRecord, Utterance, Violation
from .plivo import SimulatedPlivo
from .post import Delivery, Post, Webhook, WebhookFault
from .recordings import Recording
from .rest import RestServer, open_rest
from .restapi import RestApi, RestFault, RestReply, RestRequest, RestTransport
from .scripted import (
    LLMRequest,
    Reply,
    ScriptedLLM,
    ScriptedSTT,
    ScriptedTTS,
    ScriptedTurnDetector,
    ScriptedVAD,
    ToolUse,
)
from .simulate import run_virtual
from .subscribers import (
    AnsweringMachine,
    Busy,
    Declines,
    Fax,
    NoAnswer,
    Person,
    Subscriber,
    Unreachable,
)
from .telnyx_skin import SimulatedTelnyx
from .wordsound import HeardWord, WordReader, speak_words

__all__ = [
    "AnsweringMachine",
    "BargeInLatency",
    "Busy",
    "CallOutcome",
    "Caller",
    "CallerVoice",
    "Declines",
    "Delivery",
    "Ear",
    "Exchange",
    "FarWire",
    "Fax",
    "HeardWord",
    "LLMRequest",
    "Leg",
    "Line",
    "LineConditions",
    "LogEntry",
    "LoopbackLine",
    "MachineDetection",
    "MarksAtClear",
    "MemoryLine",
    "NoAnswer",
    "Person",
    "Post",
    "Recording",
    "Reply",
    "ReplyLatency",
    "RestApi",
    "RestCall",
    "RestFault",
    "RestReply",
    "RestRequest",
    "RestServer",
    "RestTransport",
    "ScriptedLLM",
    "ScriptedSTT",
    "ScriptedTTS",
    "ScriptedTurnDetector",
    "ScriptedVAD",
    "SimulatedPlivo",
    "SimulatedTelnyx",
    "SimulatedTwilio",
    "Skin",
    "Span",
    "StepRecord",
    "Subscriber",
    "ToolUse",
    "TwilioAccount",
    "Unreachable",
    "UpgradeRefusedError",
    "Utterance",
    "Vendor",
    "Violation",
    "Webhook",
    "WebhookFault",
    "WordReader",
    "open_exchange",
    "open_rest",
    "run_virtual",
    "speak_words",
]
