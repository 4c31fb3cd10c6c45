"""The floors of the house: imports go down only, and each floor keeps to the tools it may use.

The tree is read with ``ast``; nothing is imported. Imports inside functions count, those under
``TYPE_CHECKING`` do not.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

PACKAGE = "patter_trio"
SOURCE = Path(__file__).parents[1] / "src" / PACKAGE

# The border to code that is not ours stands beside the actors, not among them: a provider that is made of
# other people's providers (a fallback) needs it as a call does, and a provider never imports an actor.
FLOORS: dict[int, tuple[str, ...]] = {
    0: ("events", "errors", "abc", "telephony"),
    1: ("_audio", "_text", "_wire", "_turns"),
    2: ("_actors", "_foreign", "_tools"),
    3: ("_call",),
    4: (
        *("carriers", "stt", "llm", "tts", "vad", "turn_detection", "engines", "tools"),
        *("_net", "observability", "_local", "_several", "_wall", "tunnels"),
    ),
    5: (
        *("_session", "_office", "_switchboard", "_streams", "_lookout", "_dialling", "_outgoing", "_lines"),
        *("_providers", "_settings", "_callbacks", "_server"),
    ),
    6: ("__init__", "_patter", "_cli", "__main__", "_demo", "_doctor"),
}
TESTING = "testing"
FLOOR_OF = {room: floor for floor, rooms in FLOORS.items() for room in rooms}
PROVIDERS = {"carriers", "stt", "llm", "tts", "vad", "turn_detection", "engines"}

NETWORK = {
    "aiohttp", "anyio", "h11", "h2", "http", "httpcore", "httpx", "httpx2", "hypercorn", "requests", "select",
    "selectors", "smtplib", "socket", "socketserver", "ssl", "starlette", "trio_websocket", "urllib3",
    "websockets", "wsproto",
}  # fmt: skip
# What would make a pure core wait, look at a clock or leave its thread.
IMPURE = NETWORK | {"concurrent", "multiprocessing", "outcome", "subprocess", "threading", "time", "trio"}
TRIO_NETWORK = ("trio.socket", "trio.open_tcp", "trio.open_ssl", "trio.serve_", "trio.SocketStream")
CLOCKS = (
    "time.", "datetime.now", "datetime.utcnow", "datetime.today", "date.today", "datetime.datetime.now",
    "datetime.datetime.utcnow", "datetime.date.today",
)  # fmt: skip
BORDERS = ("_foreign.py", "_server/port.py")


@attrs.frozen
class Source:
    """A module of the package: its dotted path inside it, its file for people, and its tree."""

    name: str
    file: str
    tree: ast.Module
    is_package: bool = False

    @property
    def room(self) -> str:
        """The name on the first level of the package."""
        return self.name.partition(".")[0]

    @property
    def floor(self) -> int | None:
        """Where it stands; ``None`` for the testing tools, which stand beside the house."""
        return FLOOR_OF.get(self.room)


@attrs.frozen
class Import:
    """One imported module: ``target`` is its dotted name, without the package's own."""

    target: str
    ours: bool
    line: int

    @property
    def room(self) -> str:
        """The first part of the name."""
        return self.target.partition(".")[0]


def read_source(file: Path, root: Path = SOURCE) -> Source:
    path = file.relative_to(root)
    parts = path.with_suffix("").parts
    is_package = parts[-1] == "__init__"
    name = ".".join(parts[:-1] if is_package and len(parts) > 1 else parts)
    return Source(name, path.as_posix(), ast.parse(file.read_text(encoding="utf-8")), is_package)


def all_sources() -> list[Source]:
    return [read_source(file) for file in sorted(SOURCE.rglob("*.py"))]


def imports_of(source: Source) -> Iterator[Import]:
    """Everything the module imports, at any depth, except for the type checker's eyes only."""
    for node in walk_runtime(source.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield plain_import(alias.name, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            yield from imports_from(source, node)
        elif isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] in (
            "import_module",
            "__import__",
        ):
            first = node.args[0] if node.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield plain_import(first.value, node.lineno)


def walk_runtime(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and dotted(child.test).endswith("TYPE_CHECKING"):
            for other in child.orelse:
                yield other
                yield from walk_runtime(other)
            continue
        yield child
        yield from walk_runtime(child)


def plain_import(name: str, line: int) -> Import:
    if name == PACKAGE or name.startswith(f"{PACKAGE}."):
        return Import(name.removeprefix(PACKAGE).removeprefix(".") or "__init__", True, line)
    return Import(name, False, line)


def imports_from(source: Source, node: ast.ImportFrom) -> Iterator[Import]:
    if not node.level:
        base = plain_import(node.module or "", node.lineno)
        if not base.ours:
            yield base
            return
        inside = [] if base.target == "__init__" else base.target.split(".")
    else:
        here = [] if source.name == "__init__" else source.name.split(".")
        up = node.level - (1 if source.is_package else 0)
        inside = here[: len(here) - up] if up else here
        inside += node.module.split(".") if node.module else []
    if inside:
        yield Import(".".join(inside), True, node.lineno)
        return
    for alias in node.names:
        # From the package itself: one of its rooms, or a name of its public face.
        room = alias.name if alias.name in FLOOR_OF or alias.name == TESTING else "__init__"
        yield Import(room, True, node.lineno)


def dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


# --- the rules ----------------------------------------------------------------------------------------------


def wrong_imports(source: Source) -> Iterator[str]:
    """Imports that do not go down."""
    for found in imports_of(source):
        if found.ours and found.room != source.room:
            why = why_forbidden(source.room, found.room)
            if why:
                yield f"{source.file}:{found.line} imports {found.target}: {why}"


def why_forbidden(room: str, target: str) -> str | None:
    if target not in FLOOR_OF and target != TESTING:
        return f"{target} has no floor; give it one in tests/test_layers.py"
    if room == TESTING:
        allowed = FLOOR_OF[target] <= 3 or target == "_net"
        return None if allowed else "the testing tools use floors 0 to 3 and _net"
    floor = FLOOR_OF[room]
    if target == TESTING:
        return None if floor == 6 else f"nothing on floor {floor} may use the testing tools"
    below = FLOOR_OF[target]
    if below > floor:
        return f"floor {floor} must not know floor {below}"
    if {floor, below} == {3, 4}:
        return "the call and the edges do not know each other; both know abc and events"
    if room in PROVIDERS and target == "_actors":
        return "a provider never imports an actor"
    return None


def wrong_tools(source: Source) -> Iterator[str]:
    """Libraries that this floor may not use."""
    floor = source.floor
    for found in imports_of(source):
        if found.ours:
            continue
        if found.room == "asyncio":
            yield f"{source.file}:{found.line} imports asyncio: this is a trio library"
        elif floor in (0, 1) and found.room in IMPURE:
            yield f"{source.file}:{found.line} imports {found.target}: floors 0 and 1 are pure"
        elif floor in (2, 3) and (found.room in NETWORK or found.target.startswith("trio.socket")):
            yield f"{source.file}:{found.line} imports {found.target}: the network lives on floors 4 and 5"
        elif floor in (2, 3) and found.room == "time":
            yield f"{source.file}:{found.line} imports time: inside a call read trio.current_time()"
    if floor in (2, 3):
        for node in walk_runtime(source.tree):
            name = dotted(node)
            if name.startswith(TRIO_NETWORK):
                yield f"{source.file}:{position(node)} uses {name}: the network lives on floors 4 and 5"


def clock_reads(source: Source) -> Iterator[str]:
    """Reads of a clock that a simulated call cannot set, on the floors that a call is made of."""
    if source.floor in (1, 2, 3):
        for node in walk_runtime(source.tree):
            if isinstance(node, ast.Call) and dotted(node.func).startswith(CLOCKS):
                yield (
                    f"{source.file}:{node.lineno} calls {dotted(node.func)}: "
                    "time is passed in, or read from trio.current_time()"
                )


def broad_excepts(source: Source) -> Iterator[str]:
    """Handlers that catch everything."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler):
            caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            for kind in caught:
                if kind is None or dotted(kind) in ("Exception", "BaseException"):
                    what = "everything" if kind is None else dotted(kind)
                    yield f"{source.file}:{node.lineno} catches {what}"


def position(node: ast.AST) -> int:
    return int(getattr(node, "lineno", 0))


def report(violations: Iterator[str] | list[str]) -> str:
    return "\n".join(violations)


# --- the house keeps them -----------------------------------------------------------------------------------


def test_every_room_has_a_floor() -> None:
    homeless = [
        f"{source.file} has no floor; give it one in tests/test_layers.py"
        for source in all_sources()
        if source.floor is None and source.room != TESTING
    ]
    assert not report(homeless), report(homeless)


def test_imports_go_down_only() -> None:
    violations = [line for source in all_sources() for line in wrong_imports(source)]
    assert not violations, report(violations)


def test_each_floor_keeps_to_its_tools() -> None:
    violations = [line for source in all_sources() for line in wrong_tools(source)]
    assert not violations, report(violations)


def test_no_clock_is_read_inside_a_call() -> None:
    violations = [line for source in all_sources() for line in clock_reads(source)]
    assert not violations, report(violations)


def test_everything_is_caught_at_two_borders_only() -> None:
    found = [line for source in all_sources() for line in broad_excepts(source)]
    elsewhere = [line for line in found if not line.startswith(BORDERS)]
    assert not elsewhere, report([*elsewhere, f"only {' and '.join(BORDERS)} may"])
    assert len(found) <= len(BORDERS), report(found)


# --- and these tests would notice ---------------------------------------------------------------------------


def source_of(name: str, code: str) -> Source:
    return Source(name, f"{name.replace('.', '/')}.py", ast.parse(code))


@pytest.mark.parametrize(
    ("module", "code", "complaint"),
    [
        ("events", "from ._turns.edges import CallerSpeech", "floor 0 must not know floor 1"),
        ("_turns.edges", "from .._actors import play", "floor 1 must not know floor 2"),
        ("_call.turn", "from ..stt.moonshine import MoonshineSTT", "floor 3 must not know floor 4"),
        ("stt.moonshine", "from .._call.agent import Agent", "the call and the edges do not know"),
        (
            "stt.moonshine",
            "def f():\n    from .._actors import generate",
            "a provider never imports an actor",
        ),
        ("_call.turn", "from .. import testing", "may use the testing tools"),
        ("_call.turn", "from patter_trio import Patter", "floor 3 must not know floor 6"),
        ("_actors.play", "import patter_trio._session", "floor 2 must not know floor 5"),
        (
            "_session",
            "import importlib\nimportlib.import_module('patter_trio._cli')",
            "must not know floor 6",
        ),
        ("testing.carrier", "from ..carriers.twilio import Twilio", "use floors 0 to 3 and _net"),
        ("_session", "from ._attic import old", "_attic has no floor"),
    ],
)
def test_an_import_that_goes_up_is_reported(module: str, code: str, complaint: str) -> None:
    (violation,) = wrong_imports(source_of(module, code))
    assert complaint in violation
    assert violation.startswith(module.replace(".", "/"))


@pytest.mark.parametrize(
    ("module", "code"),
    [
        ("_server.admission", "from .._call.agent import Agent"),
        (
            "_callbacks",
            "if TYPE_CHECKING:\n    from ._patter import Patter",
        ),
        ("llm.fallback", "from .._foreign import foreign"),
        ("_actors.judge", "from .._foreign import foreign"),
        ("testing.loopback", "from .._net.websocket import open_websocket"),
        ("_demo.show", "from ..testing import Caller"),
        ("_cli", "from . import __version__"),
        ("_turns.history", "from .._text.words import normalise"),
    ],
)
def test_an_import_that_goes_down_is_not(module: str, code: str) -> None:
    assert list(wrong_imports(source_of(module, code))) == []


@pytest.mark.parametrize(
    ("module", "code", "complaint"),
    [
        ("_wire.twilio", "import trio", "floors 0 and 1 are pure"),
        ("_audio.wav", "def f():\n    import socket", "floors 0 and 1 are pure"),
        ("_actors.hear", "import httpx2", "the network lives on floors 4 and 5"),
        ("_call.call", "import trio\ntrio.open_tcp_stream('a', 1)", "the network lives on floors 4 and 5"),
        ("_call.call", "import time", "trio.current_time()"),
        ("llm.openai", "import asyncio", "this is a trio library"),
    ],
)
def test_a_tool_of_another_floor_is_reported(module: str, code: str, complaint: str) -> None:
    assert complaint in next(wrong_tools(source_of(module, code)))


@pytest.mark.parametrize("code", ["time.monotonic()", "datetime.now(UTC)", "datetime.datetime.now()"])
def test_a_clock_inside_a_call_is_reported(code: str) -> None:
    assert "time is passed in" in next(clock_reads(source_of("_turns.ledger", code)))


@pytest.mark.parametrize("handler", ["except:", "except Exception:", "except (ValueError, BaseException):"])
def test_a_broad_except_is_reported(handler: str) -> None:
    assert "catches" in next(broad_excepts(source_of("_session", f"try:\n    pass\n{handler}\n    pass")))
