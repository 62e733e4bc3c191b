"""Batch runs built: their graph from decoded batches to the view store, alone or several over one reading.

`batch_view` is one definition's part of it (`BatchView`), `batch_runs` puts graphs together and runs them (`build`,
`build_batch_runs`), `templates` makes them a job that needs no launcher (`launch_alone`).
"""
