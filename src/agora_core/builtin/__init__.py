"""The parts that ship, written as an outsider would write them: each offered by a hook, none known by name."""
