"""What the readers of the carriers' XML answers check in the same way: attributes, choices, texts."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from ..errors import RemoteProtocolError

__all__ = ["choice", "flag", "known", "text"]


def known(element: Element, *names: str) -> None:
    """The element has no attributes but these, and asks for POST wherever a method is named.

    Raises:
        RemoteProtocolError: it has another one.
    """
    for name in element.attrib:
        if name not in names:
            raise RemoteProtocolError(f"<{element.tag}> has no attribute {name!r}")
        if name.lower().endswith("method"):
            choice(element, name, "POST", ("POST",))


def text(element: Element) -> str:
    """What stands in the element."""
    return "".join(element.itertext()).strip()


def choice(element: Element, name: str, default: str, choices: tuple[str, ...]) -> str:
    """An attribute that is one of these.

    Raises:
        RemoteProtocolError: it is not.
    """
    value = element.get(name, default)
    if value not in choices:
        raise RemoteProtocolError(f"<{element.tag} {name}={value!r}>: not one of {', '.join(choices)}")
    return value


def flag(element: Element, name: str, *, default: bool) -> bool:
    """An attribute that is true or false.

    Raises:
        RemoteProtocolError: it is neither.
    """
    return choice(element, name, str(default).lower(), ("true", "false")) == "true"
