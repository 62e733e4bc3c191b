broker
send 0 5 2026-01-05
# On a terminal of its own: it goes on until `tandem stop`, which the page ends with.
goes_on=1
