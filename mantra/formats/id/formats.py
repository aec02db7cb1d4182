"""Dates as they are entered: 28-11-2026 21.46.05."""

DATE_FORMAT = SHORT_DATE_FORMAT = "d-m-Y"
DATETIME_FORMAT = SHORT_DATETIME_FORMAT = "d-m-Y H.i.s"
TIME_FORMAT = "H.i.s"
