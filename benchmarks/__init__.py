"""Tandem measured: against its peers, against growing work, live, and part by part. `make bench` runs it.

Programs are here and in `parts`; the first line of each names what it measures. `measuring` runs and checks one job,
`peers` are the other engines, `drawing` makes tables and plots of the figures in `results`, `inputs` makes events,
`live_runs` and `simulation` are the parts of two programs.
"""
