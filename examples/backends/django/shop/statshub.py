"""What the application has to do with the hub: tokens, and publishing."""

import json
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import jwt
from django.conf import settings

# So that an order does not wait for the hub. A task queue, where there is one, survives a restart too.
executor = ThreadPoolExecutor(max_workers=2)
log = logging.getLogger(__name__)


def token(user, role, minutes=1):
    expires = datetime.now(timezone.utc) + timedelta(minutes=minutes)
    claims = {"sub": str(user), "role": role, "exp": expires}
    return jwt.encode(claims, settings.JWT_SECRET, algorithm="HS256")


def publish(path, message, key):
    executor.submit(_publish, path, message, key)


def _publish(path, message, key):
    """Tries again with the same key, so that the hub has it once, whatever became of the answers."""
    for tries in range(5):
        pause = 2**tries
        try:
            _post(path, message, key)
            return
        except HTTPError as error:
            if error.code not in (408, 429) and error.code < 500:
                log.error("statshub refused %s: %s %s", key, error.code, error.read().decode())
                return
            pause = int(error.headers.get("Retry-After", pause))
        except (OSError, HTTPException) as error:
            log.warning("statshub: %s", error)
        time.sleep(pause)
    log.error("statshub could not be reached for %s", key)


def _post(path, message, key):
    headers = {
        "Authorization": f"Bearer {token('shop', 'service')}",
        "Content-Type": "application/json",
        "Idempotency-Key": key,
    }
    url = f"{settings.STATSHUB_URL}/api/admin/analytics/{path}"
    with urlopen(Request(url, json.dumps(message).encode(), headers), timeout=5):
        pass
