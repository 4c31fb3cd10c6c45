"""A program of somebody else's that keeps a tunnel open: started, listened to, and never left behind."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping

import attrs
import trio

from ..errors import PatterConfigError, PatterConnectionError

__all__ = ["Binary", "run_binary"]

_log = logging.getLogger("patter_trio.tunnels")

# How long a program may take to say goodbye before it is killed.
_TERMINATE_SECONDS = 3.0
# Its last words may still be in the pipe when it is gone; whoever inherited the pipe may keep it open.
_LAST_WORDS_SECONDS = 1.0
_READ_SIZE = 64 * 1024
_LINE_BYTES = 16 * 1024
_LINES_KEPT = 6
_LINE_SHOWN = 300


@attrs.frozen
class Binary:
    """How a program is run, and what to say when it cannot be.

    Args:
        name: what it is called.
        command: the program, a name or a path, and its arguments; never with a secret.
        install: where to get it.
        environment: variables it gets beside ours; secrets go here.
        secrets: what must not be shown even when it prints it.
        timeout: seconds until it must be ready.
    """

    name: str
    command: tuple[str, ...]
    install: str
    environment: Mapping[str, str] = attrs.field(factory=dict[str, str], repr=False)
    secrets: tuple[str, ...] = attrs.field(default=(), repr=False)
    timeout: float = 30.0


async def run_binary(
    binary: Binary, read_line: Callable[[str], str | None], *, task_status: trio.TaskStatus[str]
) -> None:
    """Runs a program until it is cancelled; starts ``task_status`` with the first URL ``read_line`` finds.

    All that it prints is read, so that it never waits for us. It has a process group of its own: Ctrl-C in a
    terminal reaches us, not it, and running calls can end before their way does. The group ends with us.

    Args:
        binary: the program.
        read_line: takes each line that it prints; returns the public URL once the tunnel is open.
        task_status: started with that URL.

    Raises:
        PatterConfigError: the program is not there, or cannot be run.
        PatterConnectionError: it was not ready in time, or has ended.
    """
    process = await _start(binary)
    try:
        output = _Output(binary, read_line)
        patience = trio.CancelScope(deadline=trio.current_time() + binary.timeout)

        def ready(url: str) -> None:
            patience.deadline = float("inf")
            task_status.started(url)

        output.ready = ready
        with patience:
            await output.read_until_over(process)
        if patience.cancelled_caught:
            raise PatterConnectionError(
                f"{binary.name} opened no tunnel within {binary.timeout:g} s{output.last_words()}",
                hint="is this machine on the internet, and may it connect to the outside?",
            )
        raise PatterConnectionError(
            f"{binary.name} ended with status {process.returncode}{output.last_words()}"
        )
    finally:
        await _end(process, binary.name)


@attrs.define(eq=False)
class _Output:
    """What a program prints, read as it comes."""

    binary: Binary
    read_line: Callable[[str], str | None]
    ready: Callable[[str], None] | None = None
    lines: deque[str] = attrs.field(factory=lambda: deque[str](maxlen=_LINES_KEPT))

    async def read_until_over(self, process: trio.Process) -> None:
        assert process.stdout is not None
        async with trio.open_nursery() as nursery:
            read = trio.Event()
            nursery.start_soon(self._read, process.stdout, read)
            await process.wait()
            with trio.move_on_after(_LAST_WORDS_SECONDS):
                await read.wait()
            nursery.cancel_scope.cancel()

    async def _read(self, pipe: trio.abc.ReceiveStream, read: trio.Event) -> None:
        rest = b""
        try:
            while data := await pipe.receive_some(_READ_SIZE):
                *lines, rest = (rest + data).split(b"\n")
                rest = rest[-_LINE_BYTES:]
                for line in lines:
                    self._hear(line)
        except trio.BrokenResourceError:
            pass
        if rest:
            self._hear(rest)
        read.set()

    def _hear(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").strip()
        if self.ready is not None:
            url = self.read_line(text)
            if url is not None:
                self.ready(url)
                self.ready = None
        for secret in self.binary.secrets:
            text = text.replace(secret, "***")
        if text:
            self.lines.append(text[:_LINE_SHOWN])
            _log.debug("%s: %s", self.binary.name, self.lines[-1])

    def last_words(self) -> str:
        """What it printed last, for an error."""
        return f"; it said last: {' | '.join(self.lines)}" if self.lines else "; it said nothing"


async def _start(binary: Binary) -> trio.Process:
    program, *arguments = binary.command
    path = shutil.which(program)
    if path is None:
        raise PatterConfigError(
            f"{binary.name} is not on this machine ({program} is not in PATH)",
            hint=f"install it, see {binary.install}, or pass binary= with its path",
        )
    try:
        return await trio.lowlevel.open_process(
            [path, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **binary.environment},
            start_new_session=True,
        )
    except OSError as error:
        raise PatterConfigError(
            f"{binary.name} cannot be run: {path}: {error.strerror or error}",
            hint=f"install it again, see {binary.install}",
        ) from error


async def _end(process: trio.Process, name: str) -> None:
    """Asks the program to end, then makes it; it is waited for, so that nothing of it is left."""
    with trio.CancelScope(shield=True):
        if process.returncode is None:
            _signal_group(process, signal.SIGTERM)
            with trio.move_on_after(_TERMINATE_SECONDS):
                await process.wait()
        if process.returncode is None:
            _log.warning("%s did not end within %g s of being asked: killed", name, _TERMINATE_SECONDS)
        # Also when it has ended: what it started itself may not have.
        _signal_group(process, None)
        await process.wait()
        assert process.stdout is not None
        await process.stdout.aclose()


def _signal_group(process: trio.Process, number: signal.Signals | None) -> None:
    """Sends a signal to the program and all that it started; ``None`` kills."""
    if sys.platform == "win32":
        process.kill() if number is None else process.terminate()
        return
    try:
        os.killpg(process.pid, signal.SIGKILL if number is None else number)
    except (ProcessLookupError, PermissionError):
        # Nobody is left; macOS says so by the second one.
        return
