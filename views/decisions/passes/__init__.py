"""One pass of a rule: what it reads and computes in one snapshot (`reading`), and what is remembered of the last one
(`memory`), so that the next needn't read it again.
"""
