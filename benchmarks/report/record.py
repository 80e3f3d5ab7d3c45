from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class Interval(Record):
    estimate: float = Field(description="the measured value")
    low: float = Field(description="lower end of the 95% confidence interval")
    high: float = Field(description="upper end of it")
