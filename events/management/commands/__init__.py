"""A module for each command: it parses options, calls the room that does the work, and says how it ended."""
