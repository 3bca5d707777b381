"""The registered model as MLflow loads it: images in, embeddings out, no pickle.

MLflow keeps this file itself (models from code) beside the model folder and runs it to load the model.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
from mlflow.pyfunc.model import PythonModel, PythonModelContext

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_ROWS = 64


class EmbeddingModel(PythonModel):
    """uint8 images (N, H, W, C), as the store keeps them, to float32 embeddings (N, D)."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the model folder."""
        from twinfolio.tracking.embedding import open_embedding

        self.embed = open_embedding(Path(context.artifacts["model"])).embed

    def predict(self, context: Any, model_input: NDArray[np.uint8], params: Any = None) -> NDArray[np.float32]:
        """Embed images (N, H, W, C); rows in the order given."""
        import numpy as np

        blocks = [model_input[start : start + _ROWS] for start in range(0, len(model_input), _ROWS)]
        return np.concatenate([self.embed(block) for block in blocks])


mlflow.models.set_model(EmbeddingModel())
