"""Sessions of nox: ``nox`` runs the lint and the tests; ``nox -l`` lists the rest, benchmarks included."""

from __future__ import annotations

import nox

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["lint", "tests"]
nox.options.reuse_existing_virtualenvs = True

PROJECT = nox.project.load_toml("pyproject.toml")


def _install(session: nox.Session, extras: str, *groups: str) -> None:
    requirements = nox.project.dependency_groups(PROJECT, *groups) if groups else []
    session.install("-e", f".[{extras}]", *requirements)


def _install_for_tests(session: nox.Session, *groups: str) -> None:
    _install(session, "demo", "test", *groups)
    # Of this wheel only the model file is read; its dependencies would be 290 MB.
    session.install("--no-deps", "pipecat-ai>=1.0,<2")


@nox.session
def lint(session: nox.Session) -> None:
    """Formatting, lint and types: ruff, mypy --strict, pyright."""
    _install_for_tests(session, "lint", "dev")
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("mypy")
    session.run("pyright", "--pythonpath", f"{session.bin}/python")


@nox.session
def tests(session: nox.Session) -> None:
    """The whole test suite on the Python that runs nox; arguments go to pytest."""
    _install_for_tests(session)
    session.run("pytest", *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """100,000 messages to each carrier's media socket and webhooks, or as many as are given: -- 5000."""
    _install_for_tests(session)
    messages = session.posargs[0] if session.posargs else "100000"
    session.run("pytest", "-n0", "tests/properties/test_fuzz.py", env={"PATTER_FUZZ": messages})


@nox.session(python=["3.11", "3.12", "3.13"])
def tests_all(session: nox.Session) -> None:
    """The test suite on every supported Python that this machine has."""
    _install_for_tests(session)
    session.run("pytest", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation, warnings as errors, into docs/_build."""
    _install(session, "demo", "docs")
    session.run("sphinx-build", "-W", "-b", "html", "docs", "docs/_build/html")


def _bench(session: nox.Session, script: str, extras: str = "demo") -> None:
    _install(session, extras)
    session.run("python", f"benchmarks/{script}.py", *session.posargs)


@nox.session
def bench_audio_chain(session: nox.Session) -> None:
    """What formats, filters, background and recording cost per frame: -- --seconds N --json FILE."""
    _bench(session, "audio_chain")


@nox.session
def bench_barge_in(session: nox.Session) -> None:
    """Barge-in latency over loopback sockets: -- --calls N --json FILE."""
    _bench(session, "barge_in")


@nox.session
def bench_density(session: nox.Session) -> None:
    """CPU and memory per call of the engine without models: -- --calls N --json FILE."""
    _bench(session, "density")


@nox.session
def bench_events(session: nox.Session) -> None:
    """What it costs to watch a call, by who is watching: -- --seconds N --json FILE."""
    _bench(session, "events", "demo,otel")


@nox.session
def bench_hops(session: nox.Session) -> None:
    """What a frame's way through the engine costs, step by step: -- --json FILE."""
    _bench(session, "hops")


@nox.session
def bench_llm(session: nox.Session) -> None:
    """A model's answer through us and through the bare SDK of its vendor: -- --seconds N --json FILE."""
    session.install("google-genai>=3")
    _bench(session, "llm", "pictures,openai,groq,anthropic,google")


@nox.session
def bench_local(session: nox.Session) -> None:
    """The embedded voice end to end: -- --calls N --json FILE."""
    _bench(session, "local")


@nox.session
def bench_port(session: nox.Session) -> None:
    """The port's cost per frame: -- --calls N --json FILE."""
    _bench(session, "port")


@nox.session
def soak(session: nox.Session) -> None:
    """Random whole calls in virtual time: -- --calls 10000 --seed N."""
    _install(session, "demo", "test")
    session.run("python", "benchmarks/soak.py", *session.posargs)
