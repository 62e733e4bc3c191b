"""What `tandem doctor` looks at: this machine, the installation, and the broker. Each finding has its remedy."""
