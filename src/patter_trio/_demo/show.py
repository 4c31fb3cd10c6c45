"""The demo call: a caller phones the desk on this machine, asks, interrupts, books and says goodbye."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from datetime import date
from random import Random

import attrs
import trio

from .._audio.convert import Converter
from .._call.call import CallResult
from .._foreign import unwrapped
from .._patter import Patter
from .._session import Session
from ..abc import Carrier, LLMProvider, Opens, TTSProvider, Voice
from ..errors import PatterConfigError
from ..events import MULAW_8K, CallEvent, CallInfo
from ..stt import MoonshineSTT
from ..testing import Caller, CallOutcome, Ear, LineConditions, LoopbackLine, open_exchange
from ..testing.steps import BargeIn, Say
from ..tts import HibariTTS
from ..vad import SileroVAD
from . import desk
from .brain import GREETING, DeskBrain
from .carriers import ACCOUNT, CARRIERS, NUMBER, TOKEN, free_port
from .collect import collect
from .record import CallArtefacts

__all__ = ["ACCOUNT", "NUMBER", "TODAY", "TOKEN", "Demo", "Performance", "desk_session", "perform"]

# A Monday, so that the desk's answers are the same on every day of the year.
TODAY = date(2026, 3, 2)

_SYSTEM_PROMPT = (
    f"You answer the telephone of {desk.NAME}, a dentist's practice. Be brief and friendly. "
    f"{desk.say_week()} {desk.say_price(desk.Treatment.CLEANING)}"
)


@attrs.frozen
class Line:
    """A sentence of the caller, said in one of these ways, and words of which the answer must hold one.

    The ways are ones that the recogniser understands in the caller's (small, accented) voice.
    """

    ways: tuple[str, ...]
    answer: tuple[str, ...]


HOURS = Line(("Hello, when are you open this week?", "Hello, what are your hours?"), ("monday",))
PRICE = Line(
    ("Sorry, what is the price of a cleaning?", "Wait, what is the price of a cleaning?"), ("ninety-five",)
)
BOOK = Line(
    ("I need a cleaning on Thursday afternoon.", "Can I book a cleaning for Thursday afternoon?"),
    ("thursday",),
)
YES = Line(("Yes, please.", "Yes, that is perfect."), ("booked",))
WHERE = Line(("Where are you located?", "Where can I find you?"), ("street",))
BYE = Line(("Okay, thank you, goodbye.", "Thank you very much, goodbye."), ("goodbye",))


@attrs.frozen(kw_only=True)
class Demo:
    """How the demo is run.

    Args:
        seed: of the caller's choice of words and of the line's jitter.
        llm: a model in place of the desk's own function; its answers are then not checked.
        tts: the agent's voice.
        caller_voice: the caller's voice: another speaker than the agent.
        carrier: the carrier that is simulated.
    """

    seed: int = 1
    llm: LLMProvider | Opens[LLMProvider] | None = None
    tts: TTSProvider = attrs.field(factory=HibariTTS)
    caller_voice: TTSProvider = attrs.field(factory=lambda: HibariTTS(pitch=0.8))
    carrier: str = "twilio"

    def __attrs_post_init__(self) -> None:
        if self.carrier not in CARRIERS:
            raise PatterConfigError(
                f"there is no simulated {self.carrier!r}", hint=f"one of {', '.join(CARRIERS)}"
            )

    def script(self) -> tuple[Caller, list[Line]]:
        """The caller's script, and the lines in the order in which they are said."""
        chance = Random(self.seed)

        def way(line: Line) -> str:
            return chance.choice(line.ways)

        caller = (
            Caller()
            .waits_for_agent()
            .says(way(HOURS))
            .barges_in(way(PRICE), after=1.6)
            .waits_for_agent()
            .says(way(BOOK))
            .waits_for_agent()
            .says(way(YES))
            .waits_for_agent()
            .says(way(WHERE))
            .waits_until(_agent_speaks, what="the agent")
            .coughs(0.15)
            .waits_for_agent()
            .says(way(BYE))
            .waits_for_agent()
            .hangs_up()
        )
        return caller, [HOURS, PRICE, BOOK, YES, WHERE, BYE]


def _agent_speaks(ear: Ear) -> bool:
    return ear.agent_since is not None and ear.now > ear.agent_since + 0.7


@attrs.frozen
class Performance:
    """A demo call that was made; ``problems`` says what did not go as the script wants."""

    artefacts: CallArtefacts
    outcome: CallOutcome
    problems: tuple[str, ...]


async def render(voice: TTSProvider, texts: list[str]) -> dict[str, bytes]:
    """Speaks each text with a provider's voice; returns 8 kHz µ-law sound by text."""
    sounds: dict[str, bytes] = {}
    async with AsyncExitStack() as stack:
        opening = getattr(voice, "open", None)
        live = await stack.enter_async_context(opening()) if opening is not None else voice
        speaker = await stack.enter_async_context(live.open_voice(MULAW_8K, CallInfo("caller")))
        for text in texts:
            sounds[text] = await _render(speaker, text)
    return sounds


async def _render(speaker: Voice, text: str) -> bytes:
    converter = Converter(speaker.audio, MULAW_8K)
    outlet, sentences = trio.open_memory_channel[str](1)
    outlet.send_nowait(text)
    outlet.close()
    sound = b""
    async with speaker.speak(sentences) as pieces:
        async for piece in pieces:
            sound += converter.feed(piece.audio)
    return sound + converter.flush()


def desk_session(
    demo: Demo,
    brain: DeskBrain,
    on_event: Callable[[CallEvent], None],
    *,
    carrier: Carrier | None = None,
    port: int = 0,
) -> AbstractAsyncContextManager[Session]:
    """A session of the demo's desk on a loopback port, any free one as a rule."""
    carrier = carrier or CARRIERS["twilio"].carrier("http://127.0.0.1:1")
    patter = Patter(carrier=carrier, phone_number=NUMBER, webhook_url=f"http://127.0.0.1:{port}")
    agent = patter.agent(
        system_prompt=_SYSTEM_PROMPT,
        first_message=GREETING,
        stt=MoonshineSTT(),
        tts=demo.tts,
        vad=SileroVAD(),
        llm=demo.llm,
        on_message=None if demo.llm is not None else brain.on_message,
        llm_error_message="I am sorry, something went wrong here. Could you say that again?",
    )
    return patter.session(agent, port=port, on_event=on_event)


async def perform(
    demo: Demo, on_event: Callable[[CallEvent], None], say: Callable[[str], None]
) -> Performance:
    """Starts the server on loopback, phones in and plays the script.

    Raises:
        MissingExtraError: ``patter-trio[local]`` is not installed.
    """
    caller, lines = demo.script()
    brain = DeskBrain(today=TODAY)
    events: list[CallEvent] = []

    def listen(event: CallEvent) -> None:
        events.append(event)
        on_event(event)

    say("loading the models (a few seconds) ...")
    texts = [step.text for step in caller.steps if isinstance(step, Say | BargeIn)]
    sounds = await render(demo.caller_voice, texts)
    if demo.llm is None:
        await brain.warm()
    conditions = LineConditions(seed=demo.seed, one_way_delay_ms=20, jitter_ms=10)
    spoken = attrs.evolve(caller, voice=sounds.__getitem__)
    try:
        outcome, results = await _phone(demo, brain, listen, say, spoken, conditions)
    except BaseExceptionGroup as group:
        # Whoever runs a demo opened none of its nurseries.
        raise unwrapped(group) from None
    brain.forget(outcome.call_sid)
    artefacts = collect(outcome, events, demo.seed, conditions, demo.carrier)
    problems = _problems(outcome, artefacts, lines if demo.llm is None else [])
    if not results:
        problems.append("the call never came up")
    return Performance(artefacts, outcome, tuple(problems))


async def _phone(
    demo: Demo,
    brain: DeskBrain,
    listen: Callable[[CallEvent], None],
    say: Callable[[str], None],
    caller: Caller,
    conditions: LineConditions,
) -> tuple[CallOutcome, Sequence[CallResult]]:
    """Opens the exchange and the desk, and has the caller phone in."""
    sides, port = CARRIERS[demo.carrier], free_port()
    async with (
        open_exchange(sides.simulated(), LoopbackLine(f"http://127.0.0.1:{port}")) as exchange,
        desk_session(demo, brain, listen, carrier=sides.carrier(exchange.url), port=port) as session,
    ):
        say(f"the desk answers on {session.url}; a caller phones in ...")
        outcome = await exchange.call(caller, conditions=conditions)
        await exchange.wait_quiet()
        return outcome, session.results


def _problems(outcome: CallOutcome, artefacts: CallArtefacts, lines: list[Line]) -> list[str]:
    problems = [
        f"the caller could not do this: {step.step}: {step.note}" for step in outcome.steps if not step.ok
    ]
    problems += [f"the server broke the carrier's protocol: {found.kind}" for found in outcome.violations]
    if outcome.frames_after_clear:
        problems.append(f"{outcome.frames_after_clear} frames of a cancelled turn came after its clear")
    if outcome.refusal:
        problems.append(f"the call was refused: {outcome.refusal}")
    replies = [turn for turn in artefacts.turns if turn.kind == "reply"]
    if len(replies) != len(lines) and lines:
        problems.append(f"{len(lines)} questions got {len(replies)} answers")
    for line, turn in zip(lines, replies, strict=False):
        said = f"{turn.agent_text_heard} {turn.agent_text_cut}"
        if not any(word in said.lower() for word in line.answer):
            problems.append(f'"{turn.user_text}" was answered with "{said.strip()}"')
    return problems
