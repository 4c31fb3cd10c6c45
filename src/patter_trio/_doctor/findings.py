"""What the doctor found, and how it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import attrs

__all__ = ["Finding", "Status", "finding_record", "lines_of", "summary"]

Status = Literal["ok", "warning", "failed", "skipped"]

_MARK_WIDTH = len("[warning] ")
_CHECK_WIDTH = 12


@attrs.frozen
class Finding:
    """One thing that was looked at.

    Args:
        check: what it was, one word or two.
        status: how it is; ``skipped`` for what could not be looked at.
        text: what was found. Never holds a secret.
        advice: what to do next, if anything.
    """

    check: str
    status: Status
    text: str
    advice: str = ""


def lines_of(finding: Finding) -> list[str]:
    """The lines of a table that show it; the advice stands below what it is about."""
    mark = f"[{finding.status}]"
    lines = [f"{mark:<{_MARK_WIDTH}}{finding.check:<{_CHECK_WIDTH}}{finding.text}"]
    if finding.advice:
        lines.append(" " * (_MARK_WIDTH + _CHECK_WIDTH) + f"-> {finding.advice}")
    return lines


def summary(findings: Sequence[Finding]) -> str:
    """The last line: how many of each kind that matters."""
    failed = sum(finding.status == "failed" for finding in findings)
    warnings = sum(finding.status == "warning" for finding in findings)
    if not failed and not warnings:
        return "nothing is in the way"
    return f"{failed} failed, {warnings} to look at"


def finding_record(findings: Sequence[Finding]) -> dict[str, Any]:
    """The same for programs."""
    return {
        "ok": all(finding.status != "failed" for finding in findings),
        "findings": [attrs.asdict(finding) for finding in findings],
    }
