"""How many times the steps a schedule would need for another's loss: predicted and recorded."""
