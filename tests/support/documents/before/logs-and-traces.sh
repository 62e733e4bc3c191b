broker
send 0 5 2026-01-05
collector=$(python3 -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])')
names=("4318=>$collector" "spans.txt &=>spans.txt & listening")

# the page's collector accepts connections
listening() {
  local n
  for ((n = 0; n < 300; n++)); do
    ! (: < "/dev/tcp/127.0.0.1/$collector") 2> /dev/null || return 0
    sleep 0.2
  done
  echo "the collector doesn't listen after a minute: $(jobs)" >&2
  return 1
}
