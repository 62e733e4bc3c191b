"""States of measures in Beam: folded before the shuffle, shuffled, combined under any window and trigger.

`MeasureEvents`, `MergeStates` and `states_of` are public; `folding` and `shuffling` are steps of `WindowedMeasures`.
"""
