"""Judges windows: `judged_windows` gives verdicts of answers (`window_answers`), compared with earlier ones of batch
(`usual_answers`).
"""

from tandem.views.decisions.judging.judged_windows import JudgedWindow, judge_windows
from tandem.views.decisions.judging.usual_answers import UsualAnswers
from tandem.views.decisions.judging.window_answers import Cells, SharedAnswers

__all__ = ["Cells", "JudgedWindow", "SharedAnswers", "UsualAnswers", "judge_windows"]
