"""Settings with changes."""

from llama.settings.render import defaults


def changed(changes):
    """Return the default settings with `{"block.key": value}` applied; `...` deletes."""
    raw = defaults()
    for place, value in changes.items():
        *above, name = place.split(".")
        block = raw
        for part in above:
            block = block[part]
        if value is ...:
            del block[name]
        else:
            block[name] = value
    return raw
