"""What goes wrong on purpose: broken products, networks, disks, clocks and bytes."""
