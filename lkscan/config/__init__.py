"""The configuration: `lkscan.toml` or `[tool.lkscan]`, its keys, and what follows for each input."""
