"""Documents behind the state API of a Dapr sidecar."""
