"""Windows of the windowed transforms: calendar windows, windows and triggers as texts, and windows of many events.

`CalendarWindows` and `window_into` are public; `assigning` has `assign`, for the steps that place events.
"""
