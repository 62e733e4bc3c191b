"""The path of the provider for Beam YAML."""

from __future__ import annotations

from importlib.resources import files

__all__ = ["beam_yaml_provider"]


def beam_yaml_provider() -> str:
    """The path of the file that a Beam YAML pipeline includes as a provider."""
    return str(files("tandem.transforms.windowed") / "beam_yaml.yaml")
