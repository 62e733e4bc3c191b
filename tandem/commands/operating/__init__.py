"""Commands that operate an installation: its journal, view store, definitions, repairs and permissions.

Each is one call of `tandem.views`, `tandem.journal` or `tandem.pipelines`; what can't be undone needs confirmation.
`private` has `exposed`, which the diagnosis uses too. Loaded by `tandem.command_list`.
"""
