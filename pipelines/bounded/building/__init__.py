"""Builds batch runs: their graph from decoded batches to the view store, alone or several over one reading.

`batch_view` is one definition's part of the graph (`BatchView`), `batch_runs` assembles graphs and runs them (`build`,
`build_batch_runs`), `templates` makes them a job without a launcher (`launch_alone`).
"""
