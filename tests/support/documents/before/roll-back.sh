broker
send 0 1 2026-01-01
stays
taken_in
for day in 2 3 4; do
  send "$day" 1 "2026-01-0$day"
  taken_in
done
