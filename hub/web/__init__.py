"""The hub on the network: what docs/hub-protocol.md says of requests and answers."""
