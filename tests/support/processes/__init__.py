"""Real processes of `tandem`, and what they answer while they are killed."""
