"""One file per subcommand; nothing heavy is imported until a command runs."""
