"""One pass of a rule.

`reaching` has the times up to which it goes, `reading` what it reads and computes in one snapshot, `memory` what is
remembered of the last one, so that the next needn't read it again.
"""
