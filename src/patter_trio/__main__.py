"""``python -m patter_trio`` is the command ``patter-trio``."""

from ._cli import main

if __name__ == "__main__":
    raise SystemExit(main())
