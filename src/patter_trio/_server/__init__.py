"""The running house's one port: connections, their firewall, webhooks and media sockets."""
