"""The display of figures: tables and plots."""
