"""Pictures for agents whose cards name none: drawn from the DID, so that one agent always looks the same."""

import hashlib

CELLS = 5
"""Width and height in cells; the right half mirrors the left one, which makes the pattern easy to remember."""


def identicon(did: str) -> str:
    """A symmetrical pattern as an SVG document."""
    digest = hashlib.sha256(did.encode()).digest()
    hue, half = int.from_bytes(digest[:2], "big") % 360, (CELLS + 1) // 2
    cells = "".join(
        f'<rect x="{x}" y="{row}" width="1" height="1"/>'
        for row in range(CELLS)
        for column in range(half)
        if digest[2 + row * half + column] % 2
        for x in sorted({column, CELLS - 1 - column})
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-1 -1 {CELLS + 2} {CELLS + 2}" shape-rendering="crispEdges">'
        f'<rect x="-1" y="-1" width="{CELLS + 2}" height="{CELLS + 2}" fill="hsl({hue} 40% 94%)"/>'
        f'<g fill="hsl({hue} 55% 42%)">{cells}</g></svg>'
    )
