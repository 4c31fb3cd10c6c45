"""How bytes leave and enter this machine: pipes, WebSocket frames over them, the outgoing client."""
