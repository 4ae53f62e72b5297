"""`python -m raftreg` is `raftreg`."""

from raftreg.cli import main

if __name__ == "__main__":
    main()
