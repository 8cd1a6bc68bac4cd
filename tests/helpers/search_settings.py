"""Settings of a search small enough to run several times in a test."""

from nas.engine.optimizer import WeightSettings
from nas.search.settings import AlphaSettings, SearchSettings

SETTINGS = SearchSettings(
    epochs=2,
    batch_size=16,
    channels=2,
    cells=3,
    order=1,
    train_fraction=0.5,
    seed=3,
    precision="fp32",
    weights=WeightSettings(lr=0.025, lr_min=0.001, momentum=0.9, weight_decay=3e-4, clip_norm=5.0),
    alphas=AlphaSettings(lr=3e-4, beta1=0.5, beta2=0.999, weight_decay=1e-3),
    execution="fused",
)
