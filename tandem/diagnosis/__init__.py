"""The checks of `tandem doctor`: this machine, the installation, and the broker; each finding has its remedy."""
