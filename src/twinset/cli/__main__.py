"""``python -m twinset.cli``, where there is no ``twinset`` on the path."""

from twinset.cli import main

if __name__ == "__main__":
    main()
