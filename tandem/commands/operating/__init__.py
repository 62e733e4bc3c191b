"""Commands that look after an installation: its journal, view store, definitions, repairs and permissions.

Each is one call of `tandem.views`, `tandem.journal` or `tandem.pipelines` with a question before what can't be taken
back. `private` gives `exposed` to the diagnosis too. Loaded by `tandem.command_list`.
"""
