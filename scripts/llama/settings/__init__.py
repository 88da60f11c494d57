"""Settings: `config.yaml` as one typed, checked, read-only object."""

from llama.settings.load import from_dict, load
from llama.settings.model import Settings
from llama.settings.render import default_yaml, schema

__all__ = ["Settings", "default_yaml", "from_dict", "load", "schema"]
