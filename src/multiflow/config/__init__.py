"""The configuration of a run, validated once; `docs/keys.md` explains every key."""

from multiflow.config.loading import check_files, load_config, read_overlays, write_configuration
from multiflow.config.run import Config

__all__ = ["Config", "check_files", "load_config", "read_overlays", "write_configuration"]
