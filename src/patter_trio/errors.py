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
    ├── RateLimitError              a provider asked us to slow down
    ├── ProviderError               a provider answered with an error of its own
    │   ├── RecognizerError         speech to text
    │   ├── LanguageModelError      the model or the ``on_message`` function
    │   ├── ToolError               a tool of the agent
    │   └── VoiceError              text to speech
    ├── ProvisionError              a phone number could not be set up
    └── CapacityError               no room for another call

``PatterConfigError`` is raised when an object is built, before any call. The others end at most the call
they belong to.
"""

from __future__ import annotations

from enum import StrEnum

__all__ = [
    "AuthenticationError",
    "CapacityError",
    "CarrierLostError",
    "CarrierStalledError",
    "ErrorCode",
    "LanguageModelError",
    "MissingExtraError",
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
    """A provider or carrier refused because we ask too often."""

    code = ErrorCode.RATE_LIMIT


class ProviderError(PatterError):
    """A provider answered with an error, or failed while it worked."""

    code = ErrorCode.PROVIDER_ERROR


class RecognizerError(ProviderError):
    """Speech to text failed."""

    code = ErrorCode.STT_FAILED


class LanguageModelError(ProviderError):
    """The language model, or the ``on_message`` function in its place, failed."""

    code = ErrorCode.LLM_FAILED


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
