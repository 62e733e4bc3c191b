"""What `tandem doctor` looks at: this machine, the installation, and the broker. Each finding says what mends it."""
