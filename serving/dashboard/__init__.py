"""Pages for people over the same questions: rendered here, made lively by small scripts, with nothing from elsewhere.

Every view is a URL, and says without scripts what it says with them. `static/uplot` is uPlot 1.6.32 as published,
with its licence.
"""
