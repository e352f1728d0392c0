"""How long a worker that is silent still owns its state store in a server."""

from datetime import timedelta

ALIVE = timedelta(seconds=45)
"""Workers give a sign of life about every ten seconds: three may be missing, and a dead one is gone within a minute."""

GIVING_UP_SECONDS = 3.0
"""So long may it take to give up a claim when the store is closed; a server that is silent ends it by itself."""
