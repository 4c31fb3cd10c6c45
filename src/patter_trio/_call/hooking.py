"""The hooks of one call, as pieces between its stages; where no hook is set there is no piece."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from .._audio import g711
from .._turns.history import History
from ..abc import STTProvider, Voice
from ..events import AudioFormat, CallInfo, Message
from .asking import NO_ANSWER, Asking
from .control import CallControl
from .hooked import Deltas, each_delta, recogniser_behind, voice_through, whole_reply
from .hooks import Hook, HookContext, PipelineHooks

__all__ = ["CallHooks"]

# A hook on the way of the sound holds it up: one that hung there makes the call deaf or mute if it is asked
# again. The others cost the caller a pause.
_SOUND = ("before_send_to_stt", "after_synthesize")
_SOUND_SECONDS = 0.25
_SECONDS = {"before_llm": 5.0, "on_response": 5.0}
_OTHER_SECONDS = 3.0


class CallHooks:
    """The hooks of one call.

    ``around_…`` gives back the very same object if the hook in question is not set, and the other methods
    their argument.
    """

    def __init__(
        self,
        hooks: PipelineHooks | None,
        info: CallInfo,
        history: History,
        asking: Asking,
        control: CallControl | None = None,
    ) -> None:
        self._hooks = hooks or PipelineHooks()
        self._info = info
        self._history = history
        self._asking = asking
        self._control = control
        self._context: HookContext | None = None
        self._context_of = -1

    # --- hearing --------------------------------------------------------------------------------------------

    def around_recogniser(self, stt: STTProvider) -> STTProvider:
        """The recogniser as it hears through ``before_send_to_stt``."""
        hook = self._hooks.hook("before_send_to_stt")
        return recogniser_behind(partial(self._change_sound, hook), stt) if hook else stt

    async def heard(self, text: str) -> str | None:
        """What is answered of the caller's words after ``after_transcribe``; ``None`` skips the turn."""
        hook = self._hooks.hook("after_transcribe")
        return await self._text(hook, text, none="") or None if hook else text

    # --- thinking -------------------------------------------------------------------------------------------

    async def messages(self, messages: Sequence[Message]) -> Sequence[Message]:
        """What the model is asked after ``before_llm``."""
        hook = self._hooks.hook("before_llm")
        if hook is None:
            return messages
        # Copies: "keep" means what was there, whatever the hook did to its own.
        answer = await self._ask(hook, [dict(message) for message in messages])
        if answer is NO_ANSWER or answer is None:
            return messages
        if not _are_messages(answer):
            self._refuse(hook, "something else than a list of messages")
            return messages
        return list(answer)

    def around_deltas(self, deltas: Deltas) -> Deltas:
        """What a model writes, through ``after_llm``'s ``on_chunk`` and ``on_response``."""
        chunk, response = self._hooks.hook("on_chunk"), self._hooks.hook("on_response")
        if chunk is not None:
            deltas = each_delta(partial(self._change_chunk, chunk), deltas)
        if response is not None:
            deltas = whole_reply(partial(self._text, response), deltas)
        return deltas

    @property
    def holds_back_replies(self) -> bool:
        """Whether nothing of a reply is spoken before all of it is written."""
        return self._hooks.hook("on_response") is not None

    @property
    def changes_sentences(self) -> bool:
        """Whether :meth:`sentence` does anything."""
        return self._hooks.hook("on_sentence") is not None

    async def sentence(self, sentence: str) -> str:
        """A sentence of the model after ``after_llm``'s ``on_sentence``; empty if it is dropped."""
        hook = self._hooks.hook("on_sentence")
        return await self._text(hook, sentence) if hook and sentence.strip() else sentence

    # --- speaking -------------------------------------------------------------------------------------------

    @property
    def changes_speech(self) -> bool:
        """Whether :meth:`to_speak` does anything."""
        return self._hooks.hook("before_synthesize") is not None

    async def to_speak(self, text: str) -> str:
        """What the voice is given of a sentence after ``before_synthesize``; empty if it is skipped."""
        hook = self._hooks.hook("before_synthesize")
        return " ".join((await self._text(hook, text, none="")).split()) if hook else text

    def around_voice(self, voice: Voice) -> Voice:
        """The voice as it sounds through ``after_synthesize``."""
        hook = self._hooks.hook("after_synthesize")
        return voice_through(partial(self._change_sound, hook), voice) if hook else voice

    # --- asking ---------------------------------------------------------------------------------------------

    async def _ask(self, hook: Hook, *offered: Any) -> Any:
        sound = hook.name in _SOUND
        return await self._asking.wait(
            _what(hook),
            hook,
            *offered,
            self._current_context() if hook.wants_context else None,
            deadline=_SOUND_SECONDS if sound else _SECONDS.get(hook.name, _OTHER_SECONDS),
            once_hung_never_again=sound,
        )

    async def _text(self, hook: Hook, text: str, *, none: str | None = None) -> str:
        """The text after a hook; ``none`` is what ``None`` stands for, the text itself if it is not given."""
        answer = await self._ask(hook, text)
        if answer is None and none is not None:
            return none
        return self._str_or(text, hook, answer)

    def _change_chunk(self, hook: Hook, chunk: str) -> str:
        return self._str_or(chunk, hook, self._asking.now(_what(hook), hook, chunk))

    def _str_or(self, original: str, hook: Hook, answer: Any) -> str:
        if isinstance(answer, str):
            return answer
        if answer is not None and answer is not NO_ANSWER:
            self._refuse(hook, f"{type(answer).__name__} where text was expected")
        return original

    async def _change_sound(self, hook: Hook, audio: bytes, format: AudioFormat, text: str) -> bytes | None:
        """The sound after a hook that sees it as linear16; ``None`` if it is dropped."""
        pcm = g711.decode(audio, format)
        answer = await self._ask(hook, pcm, *([text] if hook.name == "after_synthesize" else []))
        if answer is None:
            return None
        if answer is NO_ANSWER or answer is pcm:
            return audio
        if not isinstance(answer, bytes | bytearray | memoryview) or len(changed := bytes(answer)) % 2:
            self._refuse(hook, "something else than whole samples of linear16 as bytes")
            return audio
        return g711.encode(changed, format)

    def _refuse(self, hook: Hook, gave: str) -> None:
        self._asking.no_answer(_what(hook), f"{_what(hook)} gave {gave}")

    def _current_context(self) -> HookContext:
        """The context as it stands: made anew only when the history grew, not for every block of sound."""
        if self._context is None or self._context_of != self._history.added:
            info = self._info
            self._context_of = self._history.added
            self._context = HookContext(
                info.call_id, info.caller, info.callee, tuple(self._history.transcript()), self._control
            )
        return self._context


def _what(hook: Hook) -> str:
    return f"the hook {hook.name}"


def _are_messages(answer: Any) -> bool:
    return (
        isinstance(answer, list | tuple)
        and bool(answer)
        and all(isinstance(message, Mapping) and isinstance(message.get("role"), str) for message in answer)
    )
