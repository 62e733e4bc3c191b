"""Single parts of Tandem, measured: the journal, the emulator, windowed measures, delivery, the machine's second core.

Each is a program, `python -m benchmarks.parts.NAME`; nothing imports them but tests.
"""
