"""Judges the windows of rules: their answers, beside batch's answers of earlier windows.

`judged_windows` gives the verdicts of answers (`window_answers`), compared with earlier ones (`usual_answers`).
"""

from tandem.views.decisions.judging.judged_windows import JudgedWindow, judge_windows
from tandem.views.decisions.judging.usual_answers import UsualAnswers
from tandem.views.decisions.judging.window_answers import Cells, SharedAnswers

__all__ = ["Cells", "JudgedWindow", "SharedAnswers", "UsualAnswers", "judge_windows"]
