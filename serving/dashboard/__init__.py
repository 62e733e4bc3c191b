"""Pages of the same queries: rendered on the server, with small scripts, and without content from other sites.

Every view is a URL, and shows the same without scripts. `static/uplot` is uPlot 1.6.32 as published, with its licence.
"""
