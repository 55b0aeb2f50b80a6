"""What the integration tests stand on: certificates, a client, a next hop and the edge itself as a process."""
