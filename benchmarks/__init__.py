"""Tandem measured: against its peers, against growing work, live, and part by part. `make bench` runs it.

Programs lie here and in `parts`; each says in its first line what it measures. `measuring` runs and checks one job,
`peers` are the other engines, `drawing` makes tables and plots of what `results` holds, `inputs` makes events,
`live_runs` and `simulation` are what two of the programs are made of.
"""
