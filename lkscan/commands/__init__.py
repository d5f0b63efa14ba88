"""The commands, a module each: `add_options(parser)` says what it takes, `run(order)` gives the exit status."""

COMMANDS = {
    "scan": "audit specs and images (the default command)",
    "baseline": "record today's findings, so that only new ones count",
    "fix": "mend specs in place, comments and layout untouched",
    "suggest": "print the smallest privileges that an image's programs can do with",
    "pin": "give image references the digests of their tags, in place",
    "compliance": "assess specs and images by the sections of NIST SP 800-190",
    "report": "show a saved JSON report in other formats, without scanning again",
    "kernel": "judge a kernel's configuration, with its command line and settings",
    "diff": "compare two specs or images: what got worse, what got better",
    "inspect": "print the facts lkscan sees, without judgement",
    "why": "tell which component brought a file into an image, and who can use it",
    "size": "tell what images are made of in bytes, and hold them to a budget",
    "extract": "write one file of an image to standard output",
    "rules": "list what is checked",
    "explain": "say what a rule checks, and why",
    "completion": "print a script that completes command lines in bash, zsh or fish",
    "lsp": "serve editors with diagnostics, hover and quick fixes",
}
"""Command -> what it is for. The module of a command has its name, and is imported when it is called."""
