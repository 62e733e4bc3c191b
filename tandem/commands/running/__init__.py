"""Commands that start something: pipelines and the embedded Pub/Sub, plans of a launch, verification, backtests.

`pipelines` launches by the table of flags and leaves signals to the pipeline; the others read their own flags. The work
is in `tandem.pipelines` and `tandem.verification`; these commands choose it and print its results. Loaded by
`tandem.command_list`.
"""
