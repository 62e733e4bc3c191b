"""The output of commands: tables for people, JSON for programs."""
