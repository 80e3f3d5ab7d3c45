"""`lxcompress doctor`: the command, and the checks that it makes."""
