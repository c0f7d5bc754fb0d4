"""Multi-Flow Bench: multi-view anomaly detection with normalizing flows, reproduced table by table."""
