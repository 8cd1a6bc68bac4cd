"""Settings of a retraining small enough to run several times in a test, with everything switched on."""

from nas.engine.optimizer import WeightSettings
from nas.train.settings import TrainSettings

SMALL = TrainSettings(
    epochs=2,
    batch_size=16,
    channels=2,
    cells=3,
    stem="cifar",
    drop_path=0.4,
    auxiliary_weight=0.4,
    label_smoothing=0.1,
    warmup_epochs=1,
    lr_scaling=False,
    ema=0.9,
    eval_every=1,
    seed=3,
    precision="fp32",
    channels_last=False,
    execution="fused",
    compile=False,
    weights=WeightSettings(lr=0.05, lr_min=0.0, momentum=0.9, weight_decay=3e-4, clip_norm=5.0),
)
