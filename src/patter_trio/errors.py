"""The exceptions of the package, each with a stable code.

::

    PatterError                     .code, and .hint where there is something the reader can do
    ├── PatterConfigError           you broke it: a setting is missing, unknown or contradicts another
    │   ├── MissingExtraError       an optional package is not installed
    │   └── ToolSchemaError         a tool's parameters cannot be told to a model
    ├── PatterConnectionError       a far side cannot be reached, or went away
    │   ├── CarrierLostError        the media socket of a call ended without a goodbye
    │   └── CarrierStalledError     the carrier stopped reading what we send
    ├── RemoteProtocolError         they broke it: bytes that their protocol does not allow
    ├── AuthenticationError         a key, a token or a signature is wrong
    │   └── SignatureError          a webhook or an upgrade is not signed by the carrier
    ├── RateLimitError              a provider asked us to slow down; .retry_after if it said for how long
    ├── ProviderError               a provider answered with an error of its own
    │   ├── RecognizerError         speech to text
    │   ├── LanguageModelError      the model or ``on_message``; .temporary if another try may help
    │   │   ├── ModelTimeoutError   it did not connect, begin, go on or end in time
    │   │   ├── PartialStreamError  it broke off after words of its answer were given
    │   │   └── AllProvidersFailedError   each model of a fallback failed; .failures says how
    │   ├── ToolError               a tool of the agent
    │   └── VoiceError              text to speech
    ├── ProvisionError              a phone number could not be set up
    └── CapacityError               no room for another call

``PatterConfigError`` is raised when an object is built, before any call. The others end at most the call
they belong to.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

__all__ = [
    "AllProvidersFailedError",
    "AuthenticationError",
    "CapacityError",
    "CarrierLostError",
    "CarrierStalledError",
    "ErrorCode",
    "LanguageModelError",
    "MissingExtraError",
    "ModelTimeoutError",
    "PartialStreamError",
    "PatterConfigError",
    "PatterConnectionError",
    "PatterError",
    "ProviderError",
    "ProvisionError",
    "RateLimitError",
    "RecognizerError",
    "RemoteProtocolError",
    "SignatureError",
    "ToolError",
    "ToolSchemaError",
    "VoiceError",
]


class ErrorCode(StrEnum):
    """Stable names of what went wrong, for logs, metrics and call records."""

    CONFIG = "config"
    MISSING_EXTRA = "missing_extra"
    CONNECTION = "connection"
    CARRIER_LOST = "carrier_lost"
    CARRIER_STALLED = "carrier_stalled"
    REMOTE_PROTOCOL = "remote_protocol"
    AUTH = "auth"
    WEBHOOK_VERIFICATION = "webhook_verification"
    RATE_LIMIT = "rate_limit"
    PROVIDER_ERROR = "provider_error"
    STT_FAILED = "stt_failed"
    LLM_FAILED = "llm_failed"
    LLM_TIMEOUT = "llm_timeout"
    LLM_PARTIAL = "llm_partial"
    LLM_ALL_FAILED = "llm_all_failed"
    TTS_FAILED = "tts_failed"
    TOOL_FAILED = "tool_failed"
    TOOL_SCHEMA = "tool_schema"
    PROVISION = "provision"
    CAPACITY = "capacity"
    INTERNAL = "internal"


class PatterError(Exception):
    """The root of every exception that this package raises on purpose.

    Args:
        message: what happened, in one sentence.
        hint: what the reader can do about it; shown after the message.
    """

    code: ErrorCode = ErrorCode.INTERNAL

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message} ({self.hint})" if self.hint else message


class PatterConfigError(PatterError, ValueError):
    """A setting is missing, unknown, out of range or in conflict with another one."""

    code = ErrorCode.CONFIG


class MissingExtraError(PatterConfigError, ImportError):
    """An optional package is needed and not installed; the hint names the extra."""

    code = ErrorCode.MISSING_EXTRA


class ToolSchemaError(PatterConfigError):
    """The parameters of a tool cannot be told to a model; raised when the tool is built."""

    code = ErrorCode.TOOL_SCHEMA


class PatterConnectionError(PatterError, ConnectionError):
    """A carrier or provider cannot be reached, or its connection broke."""

    code = ErrorCode.CONNECTION


class CarrierLostError(PatterConnectionError):
    """The media socket of a call ended without the carrier's ``stop``."""

    code = ErrorCode.CARRIER_LOST


class CarrierStalledError(PatterConnectionError):
    """The carrier stopped reading: what we send no longer reaches the caller."""

    code = ErrorCode.CARRIER_STALLED


class RemoteProtocolError(PatterError):
    """The far side sent something that its own protocol does not allow."""

    code = ErrorCode.REMOTE_PROTOCOL


class AuthenticationError(PatterError):
    """A key, a token or a signature was refused."""

    code = ErrorCode.AUTH


class SignatureError(AuthenticationError):
    """A webhook or a WebSocket upgrade does not carry the carrier's valid signature."""

    code = ErrorCode.WEBHOOK_VERIFICATION


class RateLimitError(PatterError):
    """A provider or carrier refused because we ask too often.

    Args:
        message: what happened, in one sentence.
        hint: what the reader can do about it.
        retry_after: seconds after which it will take requests again, where it said so.
    """

    code = ErrorCode.RATE_LIMIT

    def __init__(self, message: str, *, hint: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class ProviderError(PatterError):
    """A provider answered with an error, or failed while it worked."""

    code = ErrorCode.PROVIDER_ERROR


class RecognizerError(ProviderError):
    """Speech to text failed."""

    code = ErrorCode.STT_FAILED


class LanguageModelError(ProviderError):
    """The language model, or the ``on_message`` function in its place, failed.

    Args:
        message: what happened, in one sentence.
        hint: what the reader can do about it.
        temporary: whether the same request may well succeed when it is made again.
    """

    code = ErrorCode.LLM_FAILED

    def __init__(self, message: str, *, hint: str | None = None, temporary: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.temporary = temporary


class ModelTimeoutError(LanguageModelError):
    """The language model did not connect, begin, go on or end within the time it had."""

    code = ErrorCode.LLM_TIMEOUT


class PartialStreamError(LanguageModelError):
    """A model broke off after words of its answer were given: no other model can take the answer over."""

    code = ErrorCode.LLM_PARTIAL


class AllProvidersFailedError(LanguageModelError):
    """Every model of a fallback failed; ``failures`` holds each model's name and how it failed, in order."""

    code = ErrorCode.LLM_ALL_FAILED

    def __init__(self, failures: Sequence[tuple[str, Exception]], *, hint: str | None = None) -> None:
        said = "; ".join(f"{name}: {failure}" for name, failure in failures)
        super().__init__(f"every language model failed: {said}", hint=hint)
        self.failures = tuple(failures)


class VoiceError(ProviderError):
    """Text to speech failed."""

    code = ErrorCode.TTS_FAILED


class ToolError(ProviderError):
    """A tool of the agent failed; the model is told, the call goes on."""

    code = ErrorCode.TOOL_FAILED


class ProvisionError(PatterError):
    """A phone number could not be bought, found or configured."""

    code = ErrorCode.PROVISION


class CapacityError(PatterError):
    """There is no room for another call on this session."""

    code = ErrorCode.CAPACITY
