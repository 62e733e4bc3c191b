"""One distribution, `tandem-beam`, with a console command `tandem`."""

from pathlib import Path

from setuptools import setup

FLOORS = [
    "emulator", "formats", "journal", "pipelines", "runners", "schemas", "serving", "storage",
    "transforms", "verification", "views",
]  # fmt: skip
"""Folders beside `tandem/`, each installed as `tandem.FOLDER`: one name in site-packages, whatever else lies there."""

EXTRAS = ["dev", "flink", "frames", "gcp", "iceberg", "otel", "plots", "postgres", "serve", "sql"]
"""What only some need, each a file in `requirements/`: Flink on this machine, Dataflow, PostgreSQL as
view store, answers over HTTP, SQL, spans for OpenTelemetry, Polars and pandas, plots as PNG."""


def required(name: str) -> list[str]:
    """The requirements that a file lists, as ranges; `requirements/lock.txt` pins them."""
    return Path(f"requirements/{name}.in").read_text(encoding="utf-8").splitlines()


def packages() -> list[str]:
    """`tandem`, its floors and all their sub-packages: named one by one, so that no `tests` is ever shipped."""
    own = [folder for folder in Path("tandem").iterdir() if folder.is_dir() and not folder.is_symlink()]
    inside = [str(p.parent).replace("/", ".") for folder in own for p in folder.rglob("__init__.py")]
    floors = [str(p.parent).replace("/", ".") for floor in FLOORS for p in Path(floor).rglob("__init__.py")]
    return sorted(["tandem", *inside, *(f"tandem.{name}" for name in floors)])


setup(
    name="tandem-beam",
    version="0.1.0",
    description="Hybrid batch and real-time analytics on Apache Beam: one journal, two speeds, one answer",
    long_description=Path("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    keywords=["apache-beam", "analytics", "batch", "streaming", "pubsub", "flink", "lambda-architecture"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Intended Audience :: Developers",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.11",
        "Topic :: Database",
        "Topic :: System :: Distributed Computing",
        "Typing :: Typed",
    ],
    python_requires=">=3.11",
    packages=packages(),
    package_dir={"tandem": "tandem", **{f"tandem.{floor}": floor for floor in FLOORS}},
    package_data={
        "tandem": ["py.typed"],
        "tandem.schemas": ["*.json"],
        "tandem.transforms.windowed": ["*.yaml"],
        "tandem.runners.flink": ["*.txt", "*.xml"],
        "tandem.serving.dashboard": ["templates/*", "static/*.*", "static/uplot/*"],
    },
    install_requires=required("runtime"),
    extras_require={extra: required(extra) for extra in EXTRAS},
    entry_points={"console_scripts": ["tandem=tandem.__main__:main"]},
)
