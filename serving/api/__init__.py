"""The HTTP API: questions as URLs, answers as JSON or files, errors as RFC 9457 problems.

`application` puts it together (`application`), `transport.server` runs it (`serve`), `settings` says with what. Only
`hot_path` stands before the framework: point answers, which most programs ask for. `transport` has what every
connection and request passes, `store` how requests read the view store, `routes` one module a group of URLs. What is
asked and answered is in `serving.questions`, who may ask in `serving.security`.
"""
