"""What live said and what batch says, as tables and as a page that stands alone: `print_drift`, `drift_page`."""
