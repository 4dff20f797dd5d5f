"""Files over the network: whole, checked, fetched once, and gone on with where a connection broke."""
