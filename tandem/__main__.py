"""`python -m tandem` is `tandem`."""

from tandem.app import main

if __name__ == "__main__":
    main()
