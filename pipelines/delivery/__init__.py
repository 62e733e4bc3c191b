"""Sending results and alerts: outputs behind one interface, and the one deliverer of a name.

`sources` is what puts due records into the outbox (results are one kind, see `views.outbox` for others); `outputs` is
the interface of what sends them, and the log; `result_files` and `result_topics` are outputs; `deliverer` calls the
sources and sends what waits; `beside` does so in the background of a pipeline's launcher.
"""
