"""One distribution, `tandem-beam`, with a console command `tandem`."""

from pathlib import Path

from setuptools import setup

PACKAGES = [
    "emulator", "formats", "journal", "pipelines", "proving", "runners", "schemas", "serving", "tandem", "transforms",
    "views",
]  # fmt: skip


def with_subpackages(names: list[str]) -> list[str]:
    """The packages and their sub-packages: named one by one, so that no `tests` is ever shipped."""
    found = [str(p.parent).replace("/", ".") for n in names for p in Path(n).rglob("__init__.py")]
    return sorted(set(found))


setup(
    name="tandem-beam",
    version="0.1.0",
    description="Hybrid batch and real-time analytics on Apache Beam: one journal, two speeds, one answer",
    long_description=Path("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    python_requires=">=3.11",
    packages=with_subpackages(PACKAGES),
    package_data={"schemas": ["*.json"], "serving": ["static/*"], "": ["py.typed"]},
    install_requires=Path("requirements/runtime.in").read_text(encoding="utf-8").splitlines(),
    extras_require={"dev": Path("requirements/dev.in").read_text(encoding="utf-8").splitlines()},
    entry_points={"console_scripts": ["tandem=tandem.app:main"]},
)
