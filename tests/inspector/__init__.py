"""The inspector in a real browser: `chromium` has it, `hubs` what it looks at, `screenshots` the
pictures of it.
"""
