"""Tables and plots of docs/performance.md and performance-in-full.md are drawn from benchmarks/results.

`python -m benchmarks.report` does it. Only the text between `<!-- generated: NAME -->` and `<!-- end: NAME -->` is
replaced, NAME being `machine`, `peers`, `peers-detail`, `growth`, `orders`, `live`, `firing`, `flink`, or that of
another file of results, which becomes a plain table.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from benchmarks.drawing.live_plots import draw_firing, draw_live
from benchmarks.drawing.order_plots import draw_orders
from benchmarks.drawing.plots import draw_growth, draw_peers
from benchmarks.drawing.tables import any_table, growth_tables, machine_text, peers_detail, peers_overview
from benchmarks.flink_long import draw as draw_flink
from benchmarks.measuring.engines import ROOT
from benchmarks.measuring.results import RESULTS, load

__all__ = ["main", "pages", "replaced"]

PAGE: Final = ROOT / "docs" / "performance.md"
_SECTION: Final = re.compile(r"(<!-- generated: ([\w-]+) -->\n)(.*?)(<!-- end: \2 -->)", re.DOTALL)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page; PAGE-in-full.md beside it, too")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Write the page and its plots again."""
    options = _parser().parse_args(arguments)
    plots = options.page.parent / options.page.stem
    plots.mkdir(exist_ok=True)
    peers, growth = load("peers", folder=options.results), load("growth", folder=options.results)
    live, firing = load("live", folder=options.results), load("firing", folder=options.results)
    flink, orders = load("flink", folder=options.results), load("orders", folder=options.results)
    drawn = [
        *draw_peers(peers, plots),
        *draw_growth(growth, plots),
        *draw_live(live, plots),
        *draw_firing(firing, plots),
        *draw_flink(flink, plots),
        *draw_orders(orders, plots),
    ]
    own: dict[str, Callable[[], str]] = {
        "machine": lambda: machine_text(options.results),
        "peers": lambda: peers_overview(peers) + _images(drawn, "peers", options.page),
        "peers-detail": lambda: peers_detail(peers),
        "growth": lambda: growth_tables(growth) + _images(drawn, "growth", options.page),
        "live": lambda: any_table(live) + _images(drawn, "live", options.page),
        "flink": lambda: any_table(flink) + _images(drawn, "flink", options.page),
        "orders": lambda: any_table(orders) + _images(drawn, "orders", options.page),
        "firing": lambda: any_table(firing) + _images(drawn, "firing", options.page),
    }
    for page in pages(options.page):
        text = page.read_text(encoding="utf-8")
        text = replaced(text, lambda name: own.get(name, lambda: any_table(load(name, folder=options.results)))())
        page.write_text(text, encoding="utf-8")
        print(f"{page}: drawn from {options.results}")
    return 0


def pages(page: Path) -> list[Path]:
    """The page, and the page beside it with every case in full, if there is one."""
    in_full = page.with_stem(f"{page.stem}-in-full")
    return [page, *([in_full] if in_full.exists() else [])]


def replaced(page: str, content: Callable[[str], str]) -> str:
    """The page with each generated section replaced by `content` of its name."""

    def section(found: re.Match[str]) -> str:
        inner = content(found[2]).strip("\n") or "Not measured yet."
        return f"{found[1]}\n{inner}\n\n{found[4]}"

    return _SECTION.sub(section, page)


def _images(plots: Sequence[Path], prefix: str, page: Path) -> str:
    own = [path for path in plots if path.name.startswith(prefix)]
    return "".join(f"\n![{path.stem.replace('-', ' ')}]({path.relative_to(page.parent)})\n" for path in own)


if __name__ == "__main__":
    sys.exit(main())
