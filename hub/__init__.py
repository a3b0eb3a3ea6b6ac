"""The reference hub: takes batches of many hosts, checks them, keeps them, and answers with cosignatures."""
