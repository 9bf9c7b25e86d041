"""Config -> run: the step, the loop, schedules, the run folder."""
