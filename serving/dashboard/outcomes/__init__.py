"""Pages about what came of answers: alerts with their life and receipts, silences, results; and what of it is drawn
over a series.
"""
