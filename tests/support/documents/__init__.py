"""The pages below docs/: their blocks, and what pages take for granted before they are run."""
