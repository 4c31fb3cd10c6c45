"""Words: sentences, what can be spoken, prompts."""
