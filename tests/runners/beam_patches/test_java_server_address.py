"""A class file that hands an address on, rather than its port."""

from __future__ import annotations

import pytest
from on_engines.class_files import BUILDER, LONG, class_file

from tandem.runners.beam_patches.java_server_address import _pool, patched
from tandem.schemas.errors import LaunchError


def test_the_address_is_handed_on() -> None:
    original = class_file()
    changed = patched(original)
    pool = _pool(changed)
    assert pool.count == 19
    assert pool.entries[8 - 1] == (5, LONG[1:])
    (made,) = [one for one in pool.methods() if one[3] == "forAddress"]
    assert made == (18, 2, BUILDER, "forAddress", f"(Ljava/net/SocketAddress;)L{BUILDER};")
    assert changed[pool.end :] == b"<" + bytes.fromhex("2b 000000 b8 0012") + b">"
    assert changed[10:].startswith(original[10 : _pool(original).end])


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"builds": "forAddress"}, id="it-hands-the-address-on"),
        pytest.param({"asks": "getAddress"}, id="it-asks-for-something-else"),
        pytest.param({"times": 2}, id="in-two-places"),
        pytest.param({"times": 0}, id="otherwise"),
    ],
)
def test_another_class_is_refused(other: dict[str, object]) -> None:
    with pytest.raises(LaunchError, match="isn't the class that is known"):
        patched(class_file(**other))  # type: ignore[arg-type]
