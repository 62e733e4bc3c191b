"""The HTTP API: queries as URLs, answers as JSON or files, errors as RFC 9457 problems.

`application` assembles it (`application`), `transport.server` runs it (`serve`), `settings` configures it. Only
`hot_path` stands before the framework: point answers, the most frequent requests. `transport` has the steps that every
connection and request passes, `store` the requests' access to the view store, `routes` one module a group of URLs.
Questions and their answers are in `serving.questions`, permissions in `serving.security`.
"""
