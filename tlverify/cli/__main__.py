"""`python -m tlverify.cli`"""

from tlverify.cli import main

main()
