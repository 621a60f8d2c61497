"""Fitting the forecast, and measuring it on courses."""
