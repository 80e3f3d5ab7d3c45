"""`python -m lxcompress` is the `lxcompress` command."""

from lxcompress.cli.main import main

main()
