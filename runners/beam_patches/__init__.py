"""What is changed in Beam when a process uses it: each change in a module of its own, which says what it works around,
with which versions it was tried, and which test tells when it can go.

All of them look first whether what they change is what they know, and raise LaunchError otherwise.
"""

from __future__ import annotations

from functools import cache

from tandem.runners.beam_patches import interrupted_job_servers, listening

__all__ = ["patch_beam"]


@cache
def patch_beam() -> None:
    """Change Beam, once in a process. Raises LaunchError where it isn't the Beam that is known."""
    listening.patch()
    interrupted_job_servers.patch()
