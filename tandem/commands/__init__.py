"""The commands of `tandem`, one module a group; all of them thin."""
