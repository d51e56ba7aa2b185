"""The same training steps, a module per library; each has `JOBS`, from a name to a maker of steps."""
