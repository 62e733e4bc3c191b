"""One distribution, `tandem-beam`, with a console command `tandem`."""

from pathlib import Path

from setuptools import setup

FLOORS = [
    "emulator", "formats", "journal", "pipelines", "runners", "schemas", "serving", "storage",
    "transforms", "verification", "views",
]  # fmt: skip
"""Folders beside `tandem/`, each installed as `tandem.FOLDER`: one name in site-packages, whatever else lies there."""


def packages() -> list[str]:
    """`tandem`, its floors and their sub-packages: named one by one, so that no `tests` is ever shipped."""
    found = [str(p.parent).replace("/", ".") for floor in FLOORS for p in Path(floor).rglob("__init__.py")]
    return ["tandem", *sorted(f"tandem.{name}" for name in found)]


setup(
    name="tandem-beam",
    version="0.1.0",
    description="Hybrid batch and real-time analytics on Apache Beam: one journal, two speeds, one answer",
    long_description=Path("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    python_requires=">=3.11",
    packages=packages(),
    package_dir={"tandem": "tandem", **{f"tandem.{floor}": floor for floor in FLOORS}},
    package_data={
        "tandem": ["py.typed"],
        "tandem.schemas": ["*.json"],
        "tandem.transforms.windowed": ["*.yaml"],
        "tandem.runners.flink": ["*.txt", "*.xml"],
    },
    install_requires=Path("requirements/runtime.in").read_text(encoding="utf-8").splitlines(),
    extras_require={
        extra: Path(f"requirements/{extra}.in").read_text(encoding="utf-8").splitlines() for extra in ("serve", "dev")
    },
    entry_points={"console_scripts": ["tandem=tandem.__main__:main"]},
)
