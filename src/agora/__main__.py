"""`python -m agora` is the same as `agora`."""

from agora_core.cli.main import main

if __name__ == "__main__":
    main(prog_name="agora")
