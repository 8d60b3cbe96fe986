"""Level, trend, forecast and recurring patterns of a metric: pure functions of rows with times.

``analyze_trends(rows, metrics)`` puts the rows into buckets of time, and says of each metric where it stands,
where it is going, with intervals, and whether it depends on the hour or on the load; or that there is not
enough evidence to say so.
"""

from .analysis import METRICS, Trend, TrendRow, analyze_trends
from .forecast import Forecast, forecast
from .patterns import DailyPattern, LoadPattern, daily_pattern, load_pattern
from .series import Series, series_of

__all__ = [
    "METRICS",
    "DailyPattern",
    "Forecast",
    "LoadPattern",
    "Series",
    "Trend",
    "TrendRow",
    "analyze_trends",
    "daily_pattern",
    "forecast",
    "load_pattern",
    "series_of",
]
