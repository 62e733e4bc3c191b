"""The HTTP API: questions as URLs, answers as JSON or files, errors as RFC 9457 problems.

`application` puts it together, `server` runs it. Only `hot_path` stands before the framework: point answers, which most
programs ask for. What is asked and answered is in `serving.questions`, who may ask in `serving.security`.
"""
