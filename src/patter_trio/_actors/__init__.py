"""The actors of a call: async functions over channels, each with its state in its local variables."""
