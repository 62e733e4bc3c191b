"""The steps that every connection and request passes before a route: socket, time limits, sizes, origin, caller.

`server` listens (`serve`), `timed_protocol` closes slow connections, `guard` checks each request (`Guard`), `sending`
sends replies without the framework (`send_reply`, `send_problem`).
"""
