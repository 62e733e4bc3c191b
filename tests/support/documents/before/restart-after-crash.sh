broker
send 0 5 2026-01-05
python3 -m tandem live --definition "$clicks" --subscription "$subscription" --no-screen --home data &
begun
kill -KILL %%
names+=("TANDEM_FAILPOINT=before-commit:3 tandem=>! TANDEM_FAILPOINT=before-commit:1 tandem")
