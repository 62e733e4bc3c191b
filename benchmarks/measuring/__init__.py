"""How it is measured: processes, rounds, samples, engines, jobs, and whether answers are right."""
