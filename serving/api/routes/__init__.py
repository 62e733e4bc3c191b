"""The paths of the API, by topic. Each route says who may, what is asked, and hands the work to a reader's thread."""
