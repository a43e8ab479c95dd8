"""What do we have? A source is looked at before it is reconstructed: quality, cost, strategy."""
