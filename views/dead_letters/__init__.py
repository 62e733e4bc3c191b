"""Dead letters as the store keeps them: what runs found, what users did, and which letters are open."""
