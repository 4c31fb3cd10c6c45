"""A call: the agent's settings, the call's nursery, the turn and barge-in."""
