"""Sends results and alerts: outputs behind one interface, and one deliverer for each name.

`sources` put due records into the outbox (results are one kind, see `views.outbox` for others); `outputs` has the
interface of writers, and the log; `result_files` and `result_topics` are outputs; `deliverer` calls the sources and
sends waiting messages; `beside` does so in the background of a pipeline's launcher.
"""
