"""Plain values that flow through Tandem: definitions, events, measures, states, certificates, errors.

Nothing here imports Beam, opens a socket or keeps state, so that all of it can be tested alone.
"""
