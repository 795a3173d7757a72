"""`MonitorSpec`: what a user, or a pack, asks to be watched."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tocsin.spec.quantity import DurationNs, QuantityField

SECOND = 1_000_000_000
LEAST_STEP = SECOND // 10
MOST_STEPS = 100_000


class Spec(BaseModel):
    """Base of every spec: frozen, and a key nobody knows is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, arbitrary_types_allowed=True)


class WindowSpec(Spec):
    """Event-time window: `size` long, evaluated every `step`, with at least `min_samples` points."""

    size: DurationNs = 60 * SECOND
    step: DurationNs = 10 * SECOND
    min_samples: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _whole_steps(self) -> WindowSpec:
        if self.step <= 0 or self.size <= 0 or self.size % self.step:
            raise ValueError("window size must be a whole multiple of its step")
        if self.step < LEAST_STEP or self.size // self.step > MOST_STEPS:
            raise ValueError(
                f"a step is at least {LEAST_STEP / SECOND:g} s, and a window at most {MOST_STEPS:,} steps: each is "
                "kept and judged for every series; take longer steps"
            )
        return self


class ThresholdSpec(Spec):
    """Fixed limits; a value beyond either is a breach."""

    above: QuantityField | None = None
    below: QuantityField | None = None

    @model_validator(mode="after")
    def _some_limit(self) -> ThresholdSpec:
        if self.above is None and self.below is None:
            raise ValueError("a threshold needs `above`, `below` or both")
        return self


class OnnxSpec(Spec):
    """A trained model in a file, relative to that of the configuration; `sha256` pins the file's very bytes.

    With `fallback: baseline` a file that is missing or can't be used is a warning, and the baseline is used; it also
    judges series whose values have drifted by `drift_threshold` from what the model was first given.
    """

    path: str = Field(min_length=1)
    sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    fallback: Literal["baseline"] | None = None
    warmup: float | None = Field(default=None, ge=1)
    drift_test: Literal["psi", "ks"] = "psi"
    drift_threshold: float = Field(default=0.2, gt=0)


class DetectSpec(Spec):
    """Exactly one detector by name, with its parameters; `pyod:NAME` is `pyod` with that model."""

    threshold: ThresholdSpec | None = None
    zscore: dict[str, float] | None = None
    iqr: dict[str, float] | None = None
    ewma: dict[str, float] | None = None
    cusum: dict[str, float] | None = None
    record: dict[str, float] | None = None
    baseline: dict[str, float | str] | None = None
    graph: dict[str, float | str] | None = None
    knn: dict[str, float] | None = None
    left_matrix_profile: dict[str, float] | None = None
    relative_entropy: dict[str, float] | None = None
    novelty: dict[str, float] | None = None
    change_point: dict[str, float] | None = None
    page_hinkley: dict[str, float] | None = None
    spectral_residual: dict[str, float] | None = None
    pca: dict[str, float] | None = None
    kmeans: dict[str, float] | None = None
    holt_winters: dict[str, float] | None = None
    art: dict[str, float] | None = None
    half_space_trees: dict[str, float] | None = None
    random_cut_forest: dict[str, float] | None = None
    lof: dict[str, float] | None = None
    dbscan: dict[str, float] | None = None
    onnx: OnnxSpec | None = None
    one_class_svm: dict[str, float] | None = None
    pyod: dict[str, float | str] | None = None
    ensemble: dict[str, float | str] | None = None

    @model_validator(mode="before")
    @classmethod
    def _model_in_name(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        found = {}
        for key, params in given.items():
            detector, _, model = str(key).partition(":")
            if detector == "pyod" and model and isinstance(params, dict | None):
                found["pyod"] = {"model": model, **(params or {})}
            else:
                found[key] = params
        return found

    @model_validator(mode="after")
    def _exactly_one(self) -> DetectSpec:
        chosen = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(chosen) != 1:
            raise ValueError(f"name exactly one detector, found {', '.join(chosen) or 'none'}")
        return self

    @property
    def name(self) -> str:
        """Name of the chosen detector."""
        return next(name for name in type(self).model_fields if getattr(self, name) is not None)

    @property
    def tuned(self) -> bool:
        """Whether it has parameters or a model, which only the detector itself can find wrong."""
        return self.threshold is None and bool(getattr(self, self.name))


class MonitorSpec(Spec):
    """What is watched: a signal (or glob), where, by what, over which window, with which detector.

    `role: support` findings join incidents that others open, and open none themselves. `during` keeps findings to
    the business days or hours of the series' calendar: `calendar` by name, else the first that is for the series.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=100)
    signal: str
    where: dict[str, str] = {}
    unless: dict[str, str] = {}  # any of these keeps a series out
    by: list[str] | None = None  # None: every series on its own
    aggregate: (
        Literal["last", "mean", "std", "sum", "min", "max", "count", "rate", "p50", "p90", "p95", "p99"] | None
    ) = None
    window: WindowSpec | None = None
    detect: DetectSpec = DetectSpec(baseline={})
    for_: DurationNs = Field(default=0, ge=0, alias="for")
    clear: DurationNs = Field(default=60 * SECOND, ge=0)
    direction: Literal["up", "down", "both"] = "both"
    role: Literal["open", "support"] = "open"
    calendar: str | None = None
    during: Literal["always", "business_days", "business_hours"] = "always"
    together: bool = False  # all series that are alike in `by` are judged as one entity, by an ensemble of its own
    fallback: bool = False  # only for series that no other monitor watches
    impact: dict[Literal["users", "revenue", "compliance", "money"], Literal["low", "high"]] = {}
    summary: str = ""
    runbook: str = ""

    @model_validator(mode="after")
    def _one_way_to_judge(self) -> MonitorSpec:
        if self.together and self.detect.onnx is None and self.detect != DetectSpec(baseline={}):
            raise ValueError("`together` has an ensemble of its own; leave `detect` out, or name a model with `onnx`")
        return self

    @property
    def per_point(self) -> bool:
        """Whether it is a stateless threshold on raw points, judged as they come."""
        whole = self.window is None and self.aggregate is None and self.by is None and self.during == "always"
        return self.detect.name == "threshold" and whole
