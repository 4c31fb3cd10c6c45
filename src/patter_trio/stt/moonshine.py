"""Moonshine on this machine's CPU: English, about 0.02 s of CPU per second of speech (the tiny model).

The weights are read from the wheel ``moonshine-voice==0.1.0`` (MIT; later releases no longer carry them), and
none of that package's code is imported. Wheels: Linux x86-64 and ARM64 with glibc 2.34 or later, Windows
x86-64, macOS 15 or later on ARM64; Python 3.11 to 3.13. Anywhere else pass ``weights=`` a folder with the
three files of that wheel's ``assets/tiny-en``: they are the same on every platform.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import attrs
import trio

from .._local import LoadOnce, busy, find_weights, in_thread, require_package
from .._local.moonshine import SAMPLE_RATE, Heard, Listening, Moonshine
from .._local.segment import Segmenter, as_samples
from ..errors import PatterConfigError
from ..events import AudioFormat, CallInfo, HearingItem, SpeechAudio, SpeechEnded, SpeechStarted, Transcript

__all__ = ["STT", "MoonshineSTT"]

_INSTEAD = "where there is no wheel, MoonshineSTT(weights=…) reads its files from a folder"

# Stretches of speech that wait for their words: more than a caller says while one is recognised.
_WAITING = 4

# This much quiet inside a running speech is worth a look: the detector may call it the end soon.
_PAUSE = 0.1

# What the network makes of tones, clicks and noise if it is given nothing else, unless it is certain
# (measured: 0.55 to 0.80 on noise; the words of clear telephone speech have 0.85 and more).
_WORDS_OF_NOISE = frozenset({"you", "thank you for watching", "thanks for watching"})
_SURE = 0.85


@attrs.frozen
class MoonshineSTT:
    """Recognises each stretch of speech that the detector finds: words while it lasts, and at its end.

    Every :class:`SpeechEnded` is answered by exactly one final transcript with ``from_finalize``; its text
    is empty where there were no words.

    Args:
        weights: a folder with ``encoder_model.ort``, ``decoder_model_merged.ort`` and ``tokenizer.bin``; by
            default that of the installed wheel.
        interim_every: seconds of new speech between interim results, more in long speech; 0 gives none. One
            is left out where the one before is not ready or every thread is taken.
        pre_roll: seconds of sound before the detector's edge that belong to the speech.
        longest: seconds of unbroken speech after which a final result is given and recognition goes on.
        min_confidence: words whose mean probability lies below this are noise, and are not given.

    Raises:
        PatterConfigError: a value is out of range, or ``weights`` lacks a file.
        MissingExtraError: the weights or onnxruntime are not installed.
    """

    weights: Path | str | None = None
    interim_every: float = 0.6
    pre_roll: float = 0.3
    longest: float = 25.0
    min_confidence: float = 0.35
    name: str = "moonshine"

    def __attrs_post_init__(self) -> None:
        if self.interim_every < 0 or not 0 <= self.pre_roll <= 0.8 or not 4 <= self.longest <= 60:
            raise PatterConfigError(
                "MoonshineSTT takes seconds: interim_every from 0, pre_roll to 0.8, longest from 4 to 60"
            )
        require_package("onnxruntime", "MoonshineSTT", _INSTEAD)
        folder = self._folder()
        for name in ("encoder_model.ort", "decoder_model_merged.ort", "tokenizer.bin"):
            if not (folder / name).is_file():
                raise PatterConfigError(f"MoonshineSTT finds no {name} in {folder}")

    def _folder(self) -> Path:
        if self.weights is not None:
            return Path(self.weights)
        return find_weights("moonshine_voice", "assets/tiny-en", "MoonshineSTT", _INSTEAD)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[MoonshineSTT]:
        """Loads the model in a thread, unless another call of this process has."""
        await self._model()
        yield self

    async def _model(self) -> Moonshine:
        return await in_thread(lambda: _models.get(str(self._folder())))

    def transcribe(
        self, hearing: AsyncIterable[HearingItem], audio: AudioFormat, call: CallInfo
    ) -> AbstractAsyncContextManager[AsyncIterable[Transcript]]:
        """Recognises one call, in µ-law, A-law or linear16 of any rate.

        Raises:
            RecognizerError: the network failed.
        """
        return self._transcribe(hearing, audio)

    @trio.as_safe_channel
    async def _transcribe(
        self, hearing: AsyncIterable[HearingItem], audio: AudioFormat
    ) -> AsyncGenerator[Transcript, None]:
        model = await self._model()
        async with trio.open_nursery() as nursery:
            ear = _Ear(self, model, audio, nursery)
            nursery.start_soon(ear.hear, hearing)
            nursery.start_soon(ear.understand)
            async for transcript in ear.transcripts:
                yield transcript


_models = LoadOnce(lambda folder: Moonshine(Path(folder), _INSTEAD))


@attrs.define
class _Look:
    """A recognition of the running speech up to media time ``until``; its text may become the final one."""

    sound: bytes
    until: float
    adopted: bool = False
    heard: Heard | None = None
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    over: trio.Event = attrs.field(factory=trio.Event)


@attrs.frozen
class _Speech:
    """A finished piece of speech; ``asked`` says that the detector ended it, ``look`` has heard all of it."""

    sound: bytes
    asked: bool
    look: _Look | None = None


class _Ear:
    """One call's recognition: :meth:`hear` never waits for the network, :meth:`understand` does.

    While speech runs, :meth:`_look` recognises what is there of it: now and then for an interim result, and
    at each pause. The detector takes a quarter of a second to call a pause the end; by then the words of it
    are mostly known, and the look becomes the final result.
    """

    def __init__(
        self, settings: MoonshineSTT, model: Moonshine, audio: AudioFormat, nursery: trio.Nursery
    ) -> None:
        self._settings = settings
        self._model = model
        self._audio = audio
        self._nursery = nursery
        self._segmenter = Segmenter(audio, settings.pre_roll, settings.longest)
        self._finished_in, self._finished = trio.open_memory_channel[_Speech](_WAITING)
        self._unanswered = 0
        self._last_look: _Look | None = None
        self._next_interim = 0.0
        # One result waits while its reader is busy; the network then waits too.
        self._results, self.transcripts = trio.open_memory_channel[Transcript](1)

    async def hear(self, hearing: AsyncIterable[HearingItem]) -> None:
        """Cuts what the call hears into pieces of speech."""
        segmenter = self._segmenter
        async with self._finished_in:
            async for item in hearing:
                if isinstance(item, SpeechAudio):
                    older = segmenter.hear(item.audio, item.at)
                    if older is not None:
                        await self._finish(older)
                    if segmenter.speaking:
                        self._consider_looking()
                elif isinstance(item, SpeechStarted):
                    # An edge that was lost on the way here must not cost the words before it.
                    if segmenter.speaking:
                        await self._finish(segmenter.end())
                    segmenter.begin(item.at)
                    self._next_interim = segmenter.seconds + self._settings.interim_every
                elif isinstance(item, SpeechEnded):
                    await self._finish(segmenter.end(), asked=True)
            if segmenter.speaking:
                await self._finish(segmenter.end())

    async def understand(self) -> None:
        """Gives the final words of each finished piece of speech, in order."""
        async with self._results:
            async for speech in self._finished:
                heard = None
                if speech.look is not None:
                    await speech.look.over.wait()
                    # What is left of it would give the same words as an interim result.
                    speech.look.scope.cancel()
                    heard = speech.look.heard
                if heard is None:
                    heard = await self._recognise(speech.sound)
                self._unanswered -= 1
                # The detector waits for its answer, also for one without words; a cut in the middle does not.
                if heard.text or speech.asked:
                    await self._results.send(
                        Transcript(
                            heard.text,
                            is_final=True,
                            confidence=heard.confidence if heard.text else None,
                            speech_final=speech.asked,
                            from_finalize=speech.asked,
                        )
                    )

    async def _finish(self, sound: bytes, *, asked: bool = False) -> None:
        look, self._last_look = self._last_look, None
        if look is not None:
            if asked and look.until >= self._segmenter.voiced_until + _PAUSE:
                look.adopted = True
            else:
                look.scope.cancel()
                look = None
        self._next_interim = self._segmenter.seconds + self._settings.interim_every
        self._unanswered += 1
        await self._finished_in.send(_Speech(sound, asked, look))

    def _consider_looking(self) -> None:
        """Starts a recognition if one is due and nothing of this call is being recognised."""
        segmenter, before = self._segmenter, self._last_look
        pause = segmenter.voiced_until + _PAUSE
        unseen_pause = segmenter.ends_at >= pause and (before is None or before.until < pause)
        interim_due = self._settings.interim_every > 0 and segmenter.seconds >= self._next_interim
        if not (unseen_pause or interim_due):
            return
        if self._unanswered or busy() or (before is not None and not before.over.is_set()):
            return
        # The longer the speech, the rarer: all looks together cost a few times the final one, not its square.
        self._next_interim = segmenter.seconds + max(self._settings.interim_every, segmenter.seconds / 4)
        self._last_look = _Look(segmenter.snapshot(), segmenter.ends_at)
        self._nursery.start_soon(self._look, self._last_look)

    async def _look(self, look: _Look) -> None:
        with look.scope:
            try:
                look.heard = await self._recognise(look.sound)
            finally:
                look.over.set()
            if look.heard.text and self._settings.interim_every and not look.adopted:
                await self._results.send(Transcript(look.heard.text, confidence=look.heard.confidence))

    async def _recognise(self, sound: bytes) -> Heard:
        listening = Listening()

        def work() -> Heard:
            return self._model.recognise(as_samples(sound, self._audio, SAMPLE_RATE), listening)

        try:
            heard = await in_thread(work)
        finally:
            # Of a cancelled call the thread goes on alone: this ends it at its next step.
            listening.stop()
        if _is_noise(heard, self._settings.min_confidence):
            return Heard("", heard.confidence)
        return heard


def _is_noise(heard: Heard, min_confidence: float) -> bool:
    words = re.sub(r"[^\w ]", "", heard.text).strip().lower()
    if not words or heard.confidence < min_confidence:
        return True
    return words in _WORDS_OF_NOISE and heard.confidence < _SURE


STT = MoonshineSTT
