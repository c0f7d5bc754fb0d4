"""New photographs of one part through a trained model of any method: an engineer's first question."""
