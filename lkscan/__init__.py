"""lkscan: a security policy scanner and linter for LinuxKit specs and images."""

__version__ = "0.1.0"
