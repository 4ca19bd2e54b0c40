"""For people who have an Optuna study of their own."""
