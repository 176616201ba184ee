"""Define what happened, as frozen values, and hand it on."""
