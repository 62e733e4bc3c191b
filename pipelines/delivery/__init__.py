"""Sending results: outputs behind one interface, and the one deliverer of a name that empties its outbox.

`outputs` is the interface and the log; `result_files` and `result_topics` are outputs; `deliverer` drains what is due
and sends what waits; `beside` does so in the background of a pipeline's launcher.
"""
