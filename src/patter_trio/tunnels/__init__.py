"""Ways by which a carrier reaches a port of this machine: programs of others, run beside the session.

``Patter(carrier, number, tunnel=CloudflareTunnel())`` starts one with the session, waits until it leads
somewhere, uses its address as the session's public one, starts it again when it dies, and ends it with the
session.
"""

from ._tunnel import Tunnel
from .cloudflare import CloudflareTunnel
from .ngrok import Ngrok
from .static import Static

__all__ = ["CloudflareTunnel", "Ngrok", "Static", "Tunnel"]
