"""Makes episodes of verdicts: `running` of all of a key's, `standing` of those after a window, from the state there."""

from tandem.schemas.rules.automaton.running import OPEN, Codes, Episodes, Hysteresis, Verdict, episodes_of, with_no_data
from tandem.schemas.rules.automaton.standing import Spell, Standing, episodes_after, standings_after

__all__ = [
    "OPEN",
    "Codes",
    "Episodes",
    "Hysteresis",
    "Spell",
    "Standing",
    "Verdict",
    "episodes_after",
    "episodes_of",
    "standings_after",
    "with_no_data",
]
