"""How figures are shown: tables and plots."""
