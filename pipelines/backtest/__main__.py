"""`python -m tandem.pipelines.backtest`: a backtest as a job of Beam; `tandem backtest` judges in its own process."""

from __future__ import annotations

from tandem.pipelines.backtest.job import BACKTEST
from tandem.pipelines.planning.launch import entry

if __name__ == "__main__":
    entry(BACKTEST)
