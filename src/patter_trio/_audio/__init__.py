"""Sound as bytes: frames, companding, rate changes, WAV."""
