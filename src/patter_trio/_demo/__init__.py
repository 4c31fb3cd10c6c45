"""The demo call: an appointment desk to talk to, and the records and pictures made of the call."""
