"""One pass of a rule.

`reading` has what it reads and computes in one snapshot, `memory` what is remembered of the last one, so that the next
needn't read it again.
"""
