"""Voice activity detectors; importing this loads no model."""

from __future__ import annotations

from .energy import EnergyVAD
from .silero import SileroVAD

__all__ = ["EnergyVAD", "SileroVAD"]
