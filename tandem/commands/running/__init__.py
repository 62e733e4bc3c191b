"""Commands that start something: pipelines and the embedded Pub/Sub, plans of a launch, verification, backtests.

`pipelines` launches by the table of flags and leaves signals to the pipeline; the others read their own flags. What
they run is in `tandem.pipelines` and `tandem.verification`; here it is named, and what it says is printed. Loaded by
`tandem.command_list`.
"""
