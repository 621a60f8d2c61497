"""What the services answer, as every face sends it."""
