"""Windows of the windowed transforms: calendar windows, windows and triggers by name, windows of many events at once.

`CalendarWindows` and `window_into` are public; `assigning` gives `assign` to the steps that place events.
"""
