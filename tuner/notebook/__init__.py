"""What `tuner.tune` shows in a notebook while it trains."""
