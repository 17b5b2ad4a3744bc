"""A file of weights from the Hugging Face Hub, or from its cache on this machine."""

import re
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import ConfigurationError, Reason, RunError

PREFIX = "hf://"
_FILES = ("model.safetensors", "pytorch_model.bin")
_SOURCE = re.compile(
    r"hf://(?P<repository>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w.-]+))?(?:/(?P<file>[\w./-]+))?"
)


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file in a repository of the hub.

    Attributes:
        repository: Such as `timm/resnet18.a1_in1k`.
        revision: Commit, branch or tag; None takes the main branch.
        file: Path inside the repository; None takes `model.safetensors`, or if there is none
            `pytorch_model.bin`.
    """

    repository: str
    revision: str | None = None
    file: str | None = None

    @classmethod
    def parse(cls, source: str) -> "HubFile":
        """Read `hf://owner/name`, `hf://owner/name@revision` or either with `/file` behind it.

        Args:
            source: What a user gave.

        Raises:
            ConfigurationError: If it has another form.
        """
        match = _SOURCE.fullmatch(source)
        if match is None:
            raise ConfigurationError(
                Reason.CONFIGURATION,
                f"expected hf://owner/name or hf://owner/name/file, got {source!r}",
            )
        return cls(match["repository"], match["revision"], match["file"])

    def fetch(self) -> Path:
        """Return the file on this machine, downloaded if it is not in the cache.

        Raises:
            RunError: WEIGHTS_MISSING if the hub cannot be reached, breaks off or has no such file.
        """
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

        names = _FILES if self.file is None else (self.file,)
        for name in names:
            try:
                return Path(hf_hub_download(self.repository, name, revision=self.revision))
            except LocalEntryNotFoundError as error:  # no network, and not in the cache
                raise self._missing(names[0], "no answer from the hub") from error
            except EntryNotFoundError:
                continue
            # A connection that breaks raises what the hub's HTTP library of the day has for it.
            except Exception as error:
                found = getattr(error, "strerror", None) or type(error).__name__
                raise self._missing(names[0], found) from error
        raise self._missing(" or ".join(names), "no such file there")

    def _missing(self, name: str, found: str) -> RunError:
        return RunError(
            Reason.WEIGHTS_MISSING,
            f"expected {name} of {self.repository} on the Hugging Face Hub, got {found}; try "
            "again, or where there is a network, download it from "
            f"https://huggingface.co/{self.repository}, then name the file with "
            "--set pretrained=FILE",
        )
