"""What every connection and request passes before a route sees it: socket, time limits, sizes, origin, sender.

`server` listens (`serve`), `timed_protocol` closes connections that send too slowly, `guard` judges each request
(`Guard`), `sending` answers without the framework (`send_reply`, `send_problem`).
"""
