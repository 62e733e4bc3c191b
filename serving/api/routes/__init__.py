"""The paths of the API, by topic. Each route declares its permission and parameters, and runs in a reader's thread."""
