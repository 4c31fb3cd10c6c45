"""Sound as bytes: frames, G.711, rate changes, WAV files, levels."""
