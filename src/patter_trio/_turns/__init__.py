"""Decisions and records of a conversation: pure, with the time passed in."""
