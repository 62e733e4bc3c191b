"""Questions about the views and their answers, over HTTP too: the API, who may ask it what, and the dashboard."""
