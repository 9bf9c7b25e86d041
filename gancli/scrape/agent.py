"""Who asks: the name under which this program shows itself to sites."""

from __future__ import annotations

import os
from importlib.metadata import PackageNotFoundError, version

__all__ = ["user_agent"]


def user_agent() -> str:
    """Name, version, and where to complain (`GAN_CONTACT` adds an address)."""
    try:
        number = version("gancli")
    except PackageNotFoundError:
        number = "0"
    contact = os.environ.get("GAN_CONTACT", "").strip()
    extra = f"; {contact}" if contact and contact.isascii() and contact.isprintable() else ""
    return f"gan/{number} (+https://github.com/gan-cli/gan{extra}) urllib3"
