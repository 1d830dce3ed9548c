"""`python -m tlverify`: the command line."""

from tlverify.cli import main

main()
